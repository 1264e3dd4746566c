/** Numbers below `n`, the same for the same seed. */
export function random(seed: number) {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1
  return (n: number): number => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % n
  }
}
