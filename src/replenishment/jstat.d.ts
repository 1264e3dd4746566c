/** The few functions of jStat that are used here; the package brings no types. */
declare module 'jstat' {
  const jStat: {
    gammaln(x: number): number
    /** Regularised lower incomplete gamma function P(shape, x). */
    lowRegGamma(shape: number, x: number): number
    erfc(x: number): number
    normal: { inv(probability: number, mean: number, sd: number): number }
    gamma: { inv(probability: number, shape: number, scale: number): number }
    chisquare: { inv(probability: number, degreesOfFreedom: number): number }
  }
  export default jStat
}
