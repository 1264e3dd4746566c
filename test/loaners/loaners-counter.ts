import { openCounter, type Counter } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'

/** A warehouse with its people and a loaner model. */
export interface LoanerCounter extends Counter {
  model: string
  family: string
  /** Registers units by opening stock, signed and posted. */
  units(count: number, unit?: object): Promise<string[]>
  /** Draws up a loan; answers it. */
  lend(serial: string, loan?: object): Promise<any>
  /** Lends, signs and posts; answers the loan that is out. */
  lent(serial: string, loan?: object): Promise<any>
  /** Returns, signs and posts; answers the loan that is back. */
  returned(loan: { number: string }, back?: object): Promise<any>
  unit(serial: string): Promise<any>
  /** Signs and posts the slip a unit waits for. */
  settle(serial: string): Promise<void>
}

let minted = 0
export const serialOf = (): string => `SN-${process.pid}-${++minted}`

export const LOAN = {
  repairOrder: 'RO-2026-0815',
  receiptNumber: 'JT-000815',
  customerName: '陈女士',
  customerContact: '138-0000-0000',
  dueOn: '2026-12-04',
  condition: '完好'
}

/** A loan against a receipt of its own (R-LOAN-1). */
export const aLoan = (loan: object = {}): typeof LOAN => ({
  ...LOAN,
  receiptNumber: `JT-${process.pid}-${++minted}`,
  ...loan
})

export async function openLoaners(
  h: Harness,
  { warehouse, region, model }: { warehouse?: string; region?: string; model?: string } = {}
): Promise<LoanerCounter> {
  const counter = await openCounter(h, {
    ...(warehouse !== undefined && { warehouse }),
    ...(region !== undefined && { region })
  })
  const number = model ?? (await h.make.part({ standardCost: '1000.0000' })).number
  await h.sql('update part set loaner_family = $2 where number = $1 and loaner_family is null', [number, `F-${number}`])
  const must = (answer: { status: number; text: string; body: any }, status: number) => {
    if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
    return answer.body
  }
  const { keeper } = counter
  const at: LoanerCounter = {
    ...counter,
    model: number,
    family: `F-${number}`,
    units: async (count, unit = {}) => {
      const units = Array.from({ length: count }, () => ({
        serial: serialOf(),
        model: number,
        accessories: ['power cord', 'hose'],
        ...unit
      }))
      const { slip } = must(
        await keeper.post(`/v1/warehouses/${counter.warehouse}/loaners`, { kind: 'opening', units }),
        201
      )
      must(await counter.signAndPost(slip), 200)
      return units.map(({ serial }) => serial)
    },
    lend: async (serial, loan = {}) => must(await keeper.post(`/v1/loaners/${serial}/loans`, aLoan(loan)), 201),
    lent: async (serial, loan = {}) => {
      const { number: drawn, outSlip } = await at.lend(serial, loan)
      must(await counter.signAndPost(outSlip), 200)
      return must(await keeper.get(`/v1/loans/${drawn}`), 200)
    },
    returned: async ({ number: loan }, back = {}) => {
      const { inSlip } = must(
        await keeper.post(`/v1/loans/${loan}/return`, { outcome: 'usable', condition: '完好', ...back }),
        200
      )
      must(await counter.signAndPost(inSlip), 200)
      return must(await keeper.get(`/v1/loans/${loan}`), 200)
    },
    unit: async (serial) => must(await keeper.get(`/v1/loaners/${serial}`), 200),
    settle: async (serial) => {
      const { pendingSlip } = await at.unit(serial)
      must(await counter.signAndPost(pendingSlip), 200)
    }
  }
  return at
}
