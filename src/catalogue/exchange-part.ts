import { Refusal } from '../platform/errors.ts'

/** What makes a part an exchange part (R-REQ-6), and what is said of its old parts. */
export interface Exchange {
  exchangeDueDays: number | null
  oldPartValue: string | null
  serialised: boolean
}

/** What is wrong with it, each with the member that it is about. */
export const exchangeFaults = (number: string, { exchangeDueDays, oldPartValue, serialised }: Exchange) =>
  exchangeDueDays !== null
    ? []
    : [...(oldPartValue === null ? [] : ['oldPartValue' as const]), ...(serialised ? ['serialised' as const] : [])].map(
        (member) => ({
          member,
          detail: `${member} is of an exchange part, whose old part is due back; give part ${number} its exchangeDueDays too, or leave it away`
        })
      )

/** @throws Refusal 422 `NotAnExchangePart` */
export function requireExchange(number: string, exchange: Exchange): void {
  const faults = exchangeFaults(number, exchange)
  const [first] = faults
  if (first === undefined) return
  throw new Refusal('NotAnExchangePart', 422, first.detail, {
    errors: faults.map(({ member, detail }) => ({ pointer: `/${member}`, detail, sent: exchange[member] }))
  })
}
