// Serial numbers are unique in the company whatever the case of their letters: those of loaner units among themselves, those of tools among
// themselves.
import { NAMED_OFFENDERS, Refusal, type FieldProblem } from '../platform/errors.ts'

interface Registering {
  /** The list of the request, and one of it: `tools`, `tool`. */
  list: string
  one: string
  serials: readonly string[]
}

/**
 * Refuses serial numbers that stand twice in a list.
 * @throws Refusal 422 `SerialRepeated`
 */
export function refuseRepeatedSerials({ list, one, serials }: Registering): void {
  const first = new Map<string, number>()
  const errors: FieldProblem[] = []
  for (const [index, serial] of serials.entries()) {
    const before = first.get(serial.toUpperCase())
    if (before === undefined) first.set(serial.toUpperCase(), index)
    else
      errors.push({
        pointer: `/${list}/${index}/serial`,
        detail: `${one} ${before + 1} has this number already`,
        sent: serial
      })
  }
  if (errors.length === 0) return
  throw new Refusal(
    'SerialRepeated',
    422,
    `${errors.length} serial ${errors.length === 1 ? 'number is' : 'numbers are'} named twice; every ${one} has its own, whatever the case of its letters`,
    { errors: errors.slice(0, 20) }
  )
}

/**
 * Refuses serial numbers that are registered already.
 * @param taken those, in capitals
 * @throws Refusal 409 `SerialTaken`
 */
export function refuseTakenSerials(
  { list, serials }: Pick<Registering, 'list' | 'serials'>,
  taken: { has(serial: string): boolean }
): void {
  const errors = serials.flatMap((serial, index): FieldProblem[] =>
    taken.has(serial.toUpperCase())
      ? [{ pointer: `/${list}/${index}/serial`, detail: 'is registered already', sent: serial }]
      : []
  )
  if (errors.length === 0) return
  const more = errors.length - NAMED_OFFENDERS
  throw new Refusal(
    'SerialTaken',
    409,
    `registered already: ${errors
      .slice(0, NAMED_OFFENDERS)
      .map(({ sent }) => String(sent))
      .join(', ')}${more > 0 ? ` and ${more} more` : ''}; a serial number is unique in the company`,
    { errors: errors.slice(0, 20) }
  )
}
