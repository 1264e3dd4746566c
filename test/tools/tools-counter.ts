import { callerFor, openCounter, type Caller, type Counter } from '../support/counter.ts'
import type { Harness } from '../support/harness.ts'

/** A warehouse with its people, two technicians and a second keeper. */
export interface ToolCounter extends Counter {
  technician: Caller
  colleague: Caller
  otherKeeper: Caller
  /** Registers tools on the shelf; answers their serial numbers. */
  tools(count: number, tool?: object): Promise<string[]>
  tool(serial: string): Promise<any>
  /** Draws up an issue. */
  issue(serials: readonly string[], technician?: Caller): Promise<any>
  /** Issues and has the technician sign; answers the effective document. */
  issued(serials: readonly string[], technician?: Caller): Promise<any>
  /** Returns and has the keeper sign. */
  returned(serials: readonly string[], technician?: Caller): Promise<any>
}

let minted = 0
export const toolSerial = (): string => `GJ-${process.pid}-${++minted}`
export const named = (serials: readonly string[]): { serial: string }[] => serials.map((serial) => ({ serial }))
export const newTool = (serial: string, tool: object = {}) => ({
  serial,
  name: 'Digital multimeter',
  nameZh: '数字万用表',
  model: 'FL-17B',
  value: '1280.00',
  purchasedOn: '2026-03-02',
  ...tool
})

export async function openTools(
  h: Harness,
  { warehouse, region }: { warehouse?: string; region?: string } = {}
): Promise<ToolCounter> {
  const counter = await openCounter(h, {
    ...(warehouse !== undefined && { warehouse }),
    ...(region !== undefined && { region })
  })
  const technicianOf = async () =>
    callerFor(h, await h.make.person({ grants: [{ duty: 'technician', warehouse: counter.warehouse }] }))
  const must = (answer: { status: number; text: string; body: any }, status: number) => {
    if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`)
    return answer.body
  }
  const { keeper } = counter
  const place = `/v1/warehouses/${counter.warehouse}`
  const at: ToolCounter = {
    ...counter,
    technician: await technicianOf(),
    colleague: await technicianOf(),
    otherKeeper: callerFor(h, await h.make.person({ grants: [{ duty: 'keeper', warehouse: counter.warehouse }] })),
    tools: async (count, tool = {}) => {
      const tools = Array.from({ length: count }, () => newTool(toolSerial(), tool))
      must(await keeper.post(`${place}/tools`, { tools }), 201)
      return tools.map(({ serial }) => serial)
    },
    tool: async (serial) => must(await keeper.get(`/v1/tools/${serial}`), 200),
    issue: async (serials, technician = at.technician) =>
      must(
        await keeper.post(`${place}/tool-issues`, { technician: technician.person.username, tools: named(serials) }),
        201
      ),
    issued: async (serials, technician = at.technician) => {
      const { number } = await at.issue(serials, technician)
      return must(await technician.post(`/v1/tool-documents/${number}/signature`), 200)
    },
    returned: async (serials, technician = at.technician) => {
      const { number } = must(await technician.post(`${place}/tool-returns`, { tools: named(serials) }), 201)
      return must(await keeper.post(`/v1/tool-documents/${number}/signature`), 200)
    }
  }
  return at
}
