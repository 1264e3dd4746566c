import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Duty } from '../../src/identity/actor.ts'
import { jobs } from '../../src/jobs.ts'
import { aLoan, serialOf } from '../loaners/loaners-counter.ts'
import { newTool, toolSerial } from '../tools/tools-counter.ts'
import { callerFor, SIGNERS, type Caller } from '../support/counter.ts'
import { DEFAULT_TIME, openHarness, type Harness } from '../support/harness.ts'
import type { MadePart, MadeWarehouse } from '../support/make.ts'
import { random } from '../support/random.ts'
import { relayed, runJob } from '../support/relay.ts'

// People with every duty do at random, several at once, whatever the API lets them, in a small network in which nobody sees to order:
// units are lent and recalled, tools change hands and are lost, keepers leave, warehouses close, months end. Most may be refused; but a
// refusal says why, nothing answers that the service is at fault, no job throws, and afterwards the books agree. `GAME_SEEDS` says how
// many games are played, `GAME_SEED` with which seed the first begins, `GAME_SHARES` prints how often each act succeeded.

const SEEDS = Number(process.env['GAME_SEEDS'] ?? 2)
const FIRST_SEED = Number(process.env['GAME_SEED'] ?? 1)
const ROUNDS = 40

type Method = 'post' | 'put' | 'patch' | 'delete'
interface Row {
  number: string
  warehouse: string
  state: string
  [member: string]: any
}

let h: Harness
let warehouses: MadeWarehouse[]
let parts: MadePart[]
let model: MadePart
let people: Map<number, Caller>
let below: (n: number) => number
/** What no answer may be, with what was asked. */
let faults: string[]
function fault(text: string): void {
  faults.push(text)
  if (process.env['GAME_SHARES'] !== undefined) process.stderr.write(`${text}\n`)
}
/** By act, how often it was asked and how often it was done. */
const shares = new Map<string, { asked: number; done: number; refusals: Map<string, number> }>()

beforeAll(async () => {
  h = await openHarness({ poolSize: 12 })
})
afterAll(async () => {
  await h.close()
  if (process.env['GAME_SHARES'] !== undefined)
    for (const [act, { asked, done, refusals }] of [...shares].toSorted(([one], [other]) => one.localeCompare(other)))
      process.stdout.write(
        `${act}: ${done}/${asked} ${[...refusals]
          .toSorted(([, one], [, other]) => other - one)
          .slice(0, 4)
          .map(([code, times]) => `${code} ${times}`)
          .join(', ')}\n`
      )
})

const oneOf = <Item>(items: readonly Item[]): Item => items[below(items.length)]
const once = (outOf: number): boolean => below(outOf) === 0
const day = (days: number): string => Temporal.PlainDate.from(h.clock.today()).add({ days }).toString()

/** Somebody who holds the duty there today; now and then anybody. */
async function somebody(duty: Duty, warehouse: string): Promise<Caller> {
  const holders = await h.sql<{ id: number }>(
    `select distinct d.person_id as id from duty_holder d join warehouse w on w.code = $2
      where d.duty = $1 and d.valid_from <= $3::date and coalesce(d.valid_to >= $3::date, true)
        and coalesce(d.warehouse_id = w.id, true) and coalesce(d.region_id = w.region_id, true) and d.person_id = any ($4::int[]) order by 1`,
    [duty, warehouse, h.clock.today(), [...people.keys()]]
  )
  const all = [...people.values()]
  return holders.length === 0 || once(12) ? oneOf(all) : (people.get(oneOf(holders).id) ?? oneOf(all))
}

/** Asks, again while others hold the rows; answers what was answered, or null if it was refused. */
async function ask(act: string, by: Caller, method: Method, path: string, body: object = {}): Promise<any> {
  const share = shares.get(act) ?? { asked: 0, done: 0, refusals: new Map<string, number>() }
  shares.set(act, share)
  share.asked++
  for (let attempt = 1; ; attempt++) {
    const answer = await h.api[method](path).auth(by.person.token, { type: 'bearer' }).send(body)
    if (answer.status < 300) {
      share.done++
      return answer.body
    }
    if (answer.status === 401 && attempt < 3) {
      const { username, password } = by.person
      const signedIn = await h.api.post('/v1/auth/tokens').send({ username, password })
      if (signedIn.status < 300) {
        by.person.token = signedIn.body.accessToken
        continue
      }
    }
    if (answer.status === 503 && ['Contended', 'Overloaded'].includes(answer.body.code) && attempt < 8) continue
    const { code, detail } = answer.body
    share.refusals.set(String(code), (share.refusals.get(String(code)) ?? 0) + 1)
    if (answer.status >= 500 || typeof code !== 'string' || typeof detail !== 'string' || detail === '')
      fault(`${act}: ${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.text}`)
    // The game writes well-formed requests: a 400 would say that it does not play.
    if (answer.status === 400 || answer.status === 415) fault(`${act}: ${JSON.stringify(body)}: ${answer.text}`)
    return null
  }
}

/** By somebody who holds the duty in the warehouse. */
const askAs = async (duty: Duty, warehouse: string, act: string, method: Method, path: string, body: object = {}) =>
  ask(act, await somebody(duty, warehouse), method, path, body)

/** One document of a table, preferably in one of the states. */
async function some(
  table: string,
  states: readonly string[] = [],
  fits: (row: Row) => boolean = () => true
): Promise<Row | undefined> {
  const rows = await h.sql<Row>(
    `select d.*, w.code as warehouse from ${table} d join warehouse w on w.id = d.warehouse_id where w.id = any ($1::int[]) order by d.id`,
    [warehouses.map(({ id }) => id)]
  )
  const fitting = rows.filter((row) => states.includes(row.state) && fits(row))
  return rows.length === 0 ? undefined : oneOf(fitting.length === 0 || once(12) ? rows : fitting)
}

/** One unit or tool, preferably in one of the states, and the code of the warehouse where it is. */
async function someUnit(fits: (unit: Row) => boolean): Promise<Row | undefined> {
  const rows = await h.sql<Row>(
    'select u.*, w.code as warehouse from loaner_unit u join warehouse w on w.id = u.held_by where u.part_id = $1 order by u.id',
    [model.id]
  )
  const fitting = rows.filter(fits)
  return rows.length === 0 ? undefined : oneOf(fitting.length === 0 || once(12) ? rows : fitting)
}
const onShelf = ({ lot_id: lot, pending, state }: Row): boolean =>
  lot !== null && pending === null && state === 'in-service'

/** Goods of the game that lie somewhere; none in an empty network. */
async function someGoods(): Promise<{ code: string; part: string; ownership: string; condition: string } | undefined> {
  const goods = await h.sql<{ code: string; part: string; ownership: string; condition: string }>(
    `select w.code, p.number as part, b.ownership, b.condition from balance b join warehouse w on w.id = b.warehouse_id join part p on p.id = b.part_id
      where b.part_id = any ($1::int[]) and b.on_hand > b.reserved + b.blocked order by 1, 2, 3, 4`,
    [parts.map(({ id }) => id)]
  )
  return goods.length === 0 ? undefined : oneOf(goods)
}

/** Signs with the duties that are awaited, and posts. */
async function carryThrough(warehouse: string, number: string): Promise<void> {
  for (const duty of SIGNERS) {
    const signed = await askAs(duty, warehouse, 'sign slip', 'post', `/v1/slips/${number}/signatures`, {
      duty,
      decision: once(25) ? 'refuse' : 'approve',
      comment: 'as it is'
    })
    if (signed === null && once(2)) return
  }
  await askAs('keeper', warehouse, 'post slip', 'post', `/v1/slips/${number}/posting`, { handedTo: 'somebody' })
}

const somewhere = (): string => oneOf(warehouses).code
const username = (): string => oneOf([...people.values()]).person.username
const usernameOf = (id: number): string => people.get(id)?.person.username ?? 'nobody'

const acts: Record<string, () => Promise<unknown>> = {
  'take in': async () => {
    const code = somewhere()
    const own = !once(5)
    const kind = oneOf(['receipt', 'opening', 'adjustment'])
    const slip = await askAs('keeper', code, `write ${kind}`, 'post', `/v1/warehouses/${code}/slips`, {
      kind,
      ...(kind === 'adjustment' && { reason: 'found so' }),
      lines: [
        {
          part: oneOf(parts).number,
          quantity: String(1 + below(4)),
          ownership: own ? 'own' : 'consigned',
          condition: once(8) ? 'nonconforming' : 'qualified',
          ...(own && { unitCost: '12.50' })
        }
      ]
    })
    if (slip !== null && !once(6)) await carryThrough(code, slip.number)
  },
  'give out': async () => {
    const goods = await someGoods()
    if (goods === undefined) return
    const { code, ...line } = goods
    const kind =
      line.condition === 'qualified' ? oneOf(['issue', 'sale', 'adjustment']) : oneOf(['scrap', 'supplier-return'])
    const slip = await askAs('keeper', code, `write ${kind}`, 'post', `/v1/warehouses/${code}/slips`, {
      kind,
      ...(kind === 'issue' && { purpose: oneOf(['repair-order', 'technician', 'outlet']), reference: 'RO-1' }),
      ...(['scrap', 'adjustment'].includes(kind) && { reason: 'found so' }),
      counterparty: 'somebody',
      lines: [{ ...line, quantity: kind === 'adjustment' ? '-1' : '1' }]
    })
    if (slip !== null && !once(6)) await carryThrough(code, slip.number)
  },
  'bring back': async () => {
    const posted = await h.sql<{ number: string; code: string; line: number; part: string; ownership: string }>(
      `select s.number, w.code, l.line_no as line, p.number as part, l.ownership from slip s join warehouse w on w.id = s.warehouse_id
         join slip_line l on l.warehouse_id = s.warehouse_id and l.slip_id = s.id join part p on p.id = l.part_id
        where s.state = 'posted' and s.kind in ('issue', 'sale') and p.id = any ($1::int[]) order by s.id, l.line_no`,
      [parts.map(({ id }) => id)]
    )
    if (posted.length === 0) return
    const { number, code, line, part, ownership } = oneOf(posted)
    const slip = await askAs('keeper', code, 'write return', 'post', `/v1/warehouses/${code}/slips`, {
      kind: 'return',
      reference: number,
      reason: 'not needed',
      lines: [{ part, quantity: '1', ownership, sourceLine: line }]
    })
    if (slip !== null) await carryThrough(code, slip.number)
  },
  'go on with slip': async () => {
    const slip = await some('slip', ['awaiting-signatures', 'approved'])
    if (slip !== undefined) await carryThrough(slip.warehouse, slip.number)
  },
  'cancel slip': async () => {
    const slip = await some('slip', ['draft', 'awaiting-signatures', 'approved', 'refused'])
    if (slip !== undefined)
      await askAs('keeper', slip.warehouse, 'cancel slip', 'post', `/v1/slips/${slip.number}/cancellation`, {
        reason: 'not wanted'
      })
  },
  'amend slip': async () => {
    const slip = await some('slip', ['draft', 'awaiting-signatures', 'refused'])
    if (slip === undefined) return
    const lines = await h.sql(
      `select p.number as part, trim_scale(l.quantity)::text as quantity, l.ownership, l.condition, l.unit_cost::text as "unitCost"
         from slip_line l join part p on p.id = l.part_id where l.warehouse_id = $1 and l.slip_id = $2 and l.unit_cost is not null order by l.line_no`,
      [slip['warehouse_id'], slip['id']]
    )
    if (lines.length > 0)
      await askAs('keeper', slip.warehouse, 'amend slip', 'put', `/v1/slips/${slip.number}`, {
        ...(slip['reason'] !== null && { reason: slip['reason'] }),
        note: 'said anew',
        lines
      })
  },
  'release in emergency': async () => {
    const slip = await some('slip', ['awaiting-signatures'])
    if (slip === undefined) return
    const [missingDuty, ...others] = SIGNERS
    for (const duty of others)
      await askAs(duty, slip.warehouse, 'sign slip', 'post', `/v1/slips/${slip.number}/signatures`, {
        duty,
        decision: 'approve'
      })
    await askAs(
      'keeper',
      slip.warehouse,
      'release in emergency',
      'post',
      `/v1/slips/${slip.number}/emergency-release`,
      { missingDuty, authorisedBy: 'by telephone', reason: 'customer waits', handedTo: 'somebody' }
    )
  },
  'reverse slip': async () => {
    const slip = await some('slip', ['posted'])
    if (slip === undefined) return
    const reversal = await askAs(
      'keeper',
      slip.warehouse,
      'reverse slip',
      'post',
      `/v1/slips/${slip.number}/reversal`,
      { reason: 'a mistake' }
    )
    if (reversal !== null) await carryThrough(slip.warehouse, reversal.number)
  },
  'register units': async () => {
    const code = somewhere()
    const done = await askAs('keeper', code, 'register units', 'post', `/v1/warehouses/${code}/loaners`, {
      kind: 'opening',
      units: [{ serial: serialOf(), model: model.number, accessories: ['hose'] }]
    })
    if (done !== null) await carryThrough(code, done.slip)
  },
  lend: async () => {
    const unit = await someUnit(onShelf)
    if (unit === undefined) return
    const loan = await askAs(
      'keeper',
      unit.warehouse,
      'lend',
      'post',
      `/v1/loaners/${unit['serial']}/loans`,
      aLoan({ dueOn: day(14) })
    )
    if (loan !== null && !once(5)) await carryThrough(unit.warehouse, loan.outSlip)
  },
  'return unit': async () => {
    const loan = await some('loan', ['out'])
    if (loan === undefined) return
    const back = await askAs('keeper', loan.warehouse, 'return unit', 'post', `/v1/loans/${loan.number}/return`, {
      outcome: oneOf(['usable', 'usable', 'needs-repair', 'beyond-repair']),
      condition: 'seen',
      ...(once(3) && { warehouse: somewhere() })
    })
    if (back?.inSlip != null && !once(5)) {
      const [at] = await h.sql<{ code: string }>(
        'select w.code from slip join warehouse w on w.id = slip.warehouse_id where slip.number = $1',
        [back.inSlip]
      )
      await carryThrough(at?.code ?? loan.warehouse, back.inSlip)
    }
  },
  'see to loan': async () => {
    const loan = await some('loan', once(3) ? ['returned'] : ['out'])
    if (loan === undefined) return
    const [act, body] = oneOf<[string, object]>([
      ['extension', { dueOn: day(20 + below(60)), because: 'parts are late' }],
      ['repair-ready', {}],
      ['notice-answer', { answer: oneOf(['will-collect', 'needs-longer', 'declines']) }],
      ['customer', { customerName: 'Chen' }],
      ['forget-customer', {}]
    ])
    await askAs('keeper', loan.warehouse, `loan ${act}`, 'post', `/v1/loans/${loan.number}/${act}`, body)
  },
  'see to unit': async () => {
    const act = oneOf(['repair', 'repair-return', 'retirement', 'reservation', 'transfer', 'arrival', 'free'])
    const unit = await someUnit((row) =>
      act === 'repair-return'
        ? row.state === 'in-repair'
        : act === 'arrival'
          ? row.state === 'in-transit' && row['pending'] === null
          : act === 'retirement'
            ? onShelf(row) || row['condition'] === 'nonconforming'
            : onShelf(row)
    )
    if (unit === undefined) return
    const path = `/v1/loaners/${unit['serial']}`
    const [to] = await h.sql<{ code: string }>('select code from warehouse where id = $1', [unit['moving_to']])
    const at = act === 'arrival' ? (to?.code ?? unit.warehouse) : unit.warehouse
    const bodies: Record<string, object> = {
      repair: { reason: 'noise' },
      'repair-return': { note: 'mended' },
      retirement: { reason: 'worn out' },
      reservation: { repairOrder: 'RO-7', until: day(3) },
      transfer: { to: somewhere(), reason: 'needed there' }
    }
    const done =
      act === 'free'
        ? await askAs('keeper', at, 'unit free', 'delete', `${path}/reservation`)
        : await askAs('keeper', at, `unit ${act}`, 'post', `${path}/${act}`, bodies[act] ?? {})
    const slip = done?.slip ?? done?.pendingSlip
    if (typeof slip === 'string') await carryThrough(at, slip)
  },
  recall: async () => {
    const goods = await someGoods()
    await askAs('stock-controller', somewhere(), 'recall', 'post', '/v1/recalls', {
      title: 'cracked',
      reason: 'leaks',
      scopes: [
        { part: once(5) ? model.number : (goods?.part ?? model.number), ...(once(4) && { receivedTo: day(-1) }) }
      ]
    })
  },
  'end recall': async () => {
    const recall = await some('recall', ['running', 'awaiting-second-signature'])
    if (recall === undefined) return
    const path = `/v1/recalls/${recall.number}`
    const act = oneOf(['lifting', 'closing', 'cancellation', 'lifting'])
    await askAs('stock-controller', recall.warehouse, `recall ${act}`, 'post', `${path}/${act}`, { reason: 'checked' })
    for (const duty of ['hq-finance', 'operations-supervisor', 'stock-controller'] as const)
      await askAs(duty, recall.warehouse, 'sign recall', 'post', `${path}/signatures`, { duty, decision: 'approve' })
  },
  'answer recall': async () => {
    const recall = await some('recall', ['running'])
    const code = somewhere()
    if (recall === undefined) return
    await askAs('keeper', code, 'answer recall', 'post', `/v1/recalls/${recall.number}/warehouses/${code}/answers`, {
      found: String(below(3)),
      returned: '0'
    })
    const slip = await askAs('keeper', code, 'return recalled', 'post', `/v1/recalls/${recall.number}/return-slips`, {
      warehouse: code,
      to: warehouses[0].code
    })
    if (typeof slip?.number === 'string') await carryThrough(code, slip.number)
  },
  'register tools': async () => {
    const code = somewhere()
    await askAs('keeper', code, 'register tools', 'post', `/v1/warehouses/${code}/tools`, {
      tools: [newTool(toolSerial()), newTool(toolSerial(), { value: '8000.00' })]
    })
  },
  'move tools': async () => {
    const kind = oneOf(['tool-issues', 'tool-issues', 'tool-returns', 'tool-hand-overs', 'tool-transfers'])
    const inCustody = ['tool-returns', 'tool-hand-overs'].includes(kind)
    const tool = await some('tool', [inCustody ? 'custody' : 'shelf'])
    if (tool === undefined) return
    const code = tool.warehouse
    let technician = await somebody('technician', code)
    const holder = people.get(tool['holder_id']) ?? technician
    for (let n = 0; n < 4 && inCustody && technician === holder; n++) technician = await somebody('technician', code)
    const bodies: Record<string, object> = {
      'tool-issues': { technician: technician.person.username },
      'tool-returns': {},
      'tool-hand-overs': { to: technician.person.username },
      'tool-transfers': { to: oneOf(warehouses.filter((other) => other.code !== code)).code }
    }
    const by = inCustody ? holder : await somebody('keeper', code)
    const drawn = await ask(kind, by, 'post', `/v1/warehouses/${code}/${kind}`, {
      tools: [{ serial: tool['serial'] }],
      ...bodies[kind]
    })
    if (drawn !== null && !once(4)) await settled(drawn.number)
  },
  'settle tools': async () => {
    const document = await some('tool_document', ['awaiting-signatures'])
    if (document !== undefined) await settled(document.number)
  },
  'return all': async () => {
    const tool = await some('tool', ['custody'])
    const holder = people.get(tool?.['holder_id'])
    if (tool !== undefined && holder !== undefined)
      await ask(
        'return all',
        once(2) ? holder : await somebody('keeper', tool.warehouse),
        'post',
        `/v1/technicians/${holder.person.username}/return-all`,
        { warehouse: tool.warehouse }
      )
  },
  'see to tool': async () => {
    const tool = await some('tool', ['shelf', 'custody'])
    if (tool === undefined) return
    const path = `/v1/tools/${tool['serial']}`
    const keeper = await somebody('keeper', tool.warehouse)
    if (once(2))
      await ask('calibrate', keeper, 'post', `${path}/calibrations`, {
        calibratedOn: day(0),
        certificate: 'C-1',
        nextDueOn: day(90)
      })
    else await ask('change tool', keeper, 'patch', path, { value: '1500.00' })
  },
  'set kit': async () => {
    const tool = await some('tool', ['shelf'])
    if (tool === undefined) return
    const path = `/v1/warehouses/${tool.warehouse}/tool-kits/K${1 + below(2)}`
    const kit = await askAs('keeper', tool.warehouse, 'set kit', 'put', path, {
      name: 'bench',
      tools: [tool['serial']]
    })
    if (once(4)) await askAs('keeper', tool.warehouse, 'dissolve kit', 'delete', path)
    if (kit === null) return
    const technician = await somebody('technician', tool.warehouse)
    const drawn = await askAs(
      'keeper',
      tool.warehouse,
      'issue kit',
      'post',
      `/v1/warehouses/${tool.warehouse}/tool-issues`,
      { technician: technician.person.username, kit: path.split('/').at(-1), withoutMissing: true }
    )
    if (drawn !== null) await settled(drawn.number)
  },
  'lose tool': async () => {
    const tool = await some('tool', ['custody', 'shelf'])
    if (tool === undefined) return
    const kind = oneOf(['lost', 'damaged'])
    const by = people.get(tool['holder_id']) ?? (await somebody('keeper', tool.warehouse))
    await ask('report loss', by, 'post', `/v1/tools/${tool['serial']}/losses`, {
      kind,
      cause: 'on the road',
      reasonReport: 'It fell from the van.',
      ...(kind === 'damaged' && { outcome: oneOf(['scrapped', 'repaired']), normalWear: once(2) })
    })
  },
  'see to loss': async () => {
    const act = oneOf(['signatures', 'signatures', 'assessment', 'found', 'repaired', 'taken-in', 'withdrawal'])
    const loss = await some(
      'tool_loss',
      act === 'found' || act === 'repaired' ? ['approved', 'ended'] : ['reported'],
      (row) =>
        act === 'found'
          ? row['kind'] === 'lost'
          : act === 'assessment'
            ? row['technician_id'] !== null && row['normal_wear'] === false
            : !['repaired', 'taken-in'].includes(act) || row['kind'] === 'damaged'
    )
    if (loss === undefined) return
    const { warehouse } = loss
    const path = `/v1/tool-losses/${loss.number}`
    if (act === 'signatures')
      for (const duty of ['department-head', 'finance-supervisor'] as const)
        await askAs(duty, warehouse, 'sign loss', 'post', `${path}/signatures`, {
          duty,
          decision: once(8) ? 'refuse' : 'approve',
          comment: 'seen'
        })
    else if (act === 'assessment')
      await askAs('department-head', warehouse, 'assess loss', 'put', `${path}/assessment`, {
        compensation: '10.00',
        compensationReason: 'agreed'
      })
    else if (act === 'withdrawal') {
      const reporter = people.get(loss['reported_by']) ?? (await somebody('keeper', warehouse))
      await ask('withdraw loss', reporter, 'post', `${path}/withdrawal`, { reason: 'was there after all' })
    } else await askAs('keeper', warehouse, `tool ${act}`, 'post', `${path}/${act}`)
  },
  'custody round': async () => {
    const code = somewhere()
    await askAs('keeper', code, 'open round', 'post', `/v1/warehouses/${code}/custody-rounds`, { dueOn: day(7) })
    const round = await some('custody_round', ['open'])
    if (round === undefined) return
    const path = `/v1/custody-rounds/${round.number}`
    const technician = await somebody('technician', round.warehouse)
    await ask('confirm custody', technician, 'post', `${path}/confirmation`)
    if (once(2))
      await askAs('keeper', round.warehouse, 'close round', 'post', `${path}/closing`, { reason: 'time is up' })
  },
  'draw up handover': async () => {
    const code = somewhere()
    const keeper = await somebody('keeper', code)
    const drawn = await ask('draw up handover', keeper, 'post', `/v1/warehouses/${code}/handovers`, {
      incoming: username(),
      because: 'leaves'
    })
    if (drawn !== null && !once(3))
      await ask('submit handover', keeper, 'post', `/v1/handovers/${drawn.number}/submission`)
  },
  'sign handover': async () => {
    const handover = await some('handover', ['draft', 'awaiting-signatures'])
    if (handover === undefined) return
    const path = `/v1/handovers/${handover.number}`
    const outgoing = people.get(handover['outgoing_id'])
    const incoming = people.get(handover['incoming_id'])
    if (outgoing === undefined || incoming === undefined) return
    if (once(6)) await ask('refresh handover', outgoing, 'post', `${path}/snapshot`)
    if (once(6)) await ask('amend handover', outgoing, 'patch', path, { notes: 'see the desk' })
    await ask('submit handover', outgoing, 'post', `${path}/submission`)
    const signers = [
      ['outgoing-keeper', outgoing],
      ['incoming-keeper', incoming],
      ['department-head', await somebody('department-head', handover.warehouse)],
      ['finance-supervisor', await somebody('finance-supervisor', handover.warehouse)]
    ] as const
    for (const [party, signer] of signers)
      await ask('sign handover', signer, 'post', `${path}/signatures`, {
        party,
        decision: once(15) ? 'refuse' : 'approve',
        comment: 'seen'
      })
    if (once(8)) await ask('cancel handover', outgoing, 'post', `${path}/cancellation`, { reason: 'stays' })
  },
  'give duty': async () => {
    const where = oneOf<object>([
      { warehouse: somewhere() },
      { warehouse: somewhere() },
      { region: oneOf(warehouses).region }
    ])
    await askAs('administrator', somewhere(), 'give duty', 'post', `/v1/people/${username()}/duties`, {
      duty: oneOf(['keeper', 'technician', 'department-head', 'operations-supervisor', 'outlet-clerk']),
      ...where,
      ...(once(4) && { validTo: day(5) })
    })
  },
  'end duty': async () => {
    const held = await h.sql<{ id: number; person: number }>(
      `select id, person_id as person from duty_assignment where ended_at is null and person_id = any ($1::int[])
          and (warehouse_id is not null or region_id is not null) order by id`,
      [[...people.keys()]]
    )
    if (held.length === 0) return
    const { id, person } = oneOf(held)
    await askAs('administrator', somewhere(), 'end duty', 'post', `/v1/people/${usernameOf(person)}/duties/${id}/end`)
  },
  delegate: async () => {
    const from = oneOf([...people.values()])
    const given = await ask('delegate', from, 'post', '/v1/delegations', {
      to: username(),
      validTo: day(5),
      reason: 'leave'
    })
    if (given !== null && once(3)) await ask('end delegation', from, 'post', `/v1/delegations/${given.id}/end`)
  },
  lock: async () => {
    const person = username()
    const administrator = await somebody('administrator', somewhere())
    if (administrator.person.username === person) return
    await ask('lock', administrator, 'post', `/v1/people/${person}/lock`, { reason: 'lost telephone' })
    if (!once(6)) await ask('unlock', administrator, 'post', `/v1/people/${person}/unlock`)
    if (once(8)) await ask('leave', administrator, 'patch', `/v1/people/${person}`, { active: false })
    if (!once(4)) await ask('come back', administrator, 'patch', `/v1/people/${person}`, { active: true })
  },
  'change warehouse': async () => {
    const code = oneOf(warehouses.slice(1)).code
    const path = `/v1/warehouses/${code}`
    const by = await somebody('administrator', code)
    const [shut] = await h.sql<{ code: string }>(
      'select code from warehouse where id = any ($1::int[]) and closed_on is not null order by id',
      [warehouses.map(({ id }) => id)]
    )
    if (shut !== undefined && once(3))
      return ask('reopen warehouse', by, 'post', `/v1/warehouses/${shut.code}/reopening`)
    switch (below(4)) {
      case 0:
        return ask('close warehouse', by, 'post', `/v1/warehouses/${oneOf(warehouses.slice(3)).code}/closing`)
      case 1:
        return ask('move warehouse', by, 'post', `${path}/move`, { parent: somewhere() })
      case 2:
        return ask('move to region', by, 'patch', path, { region: oneOf(warehouses).region })
      default:
        return ask('rename warehouse', by, 'post', `${path}/renaming`, { name: `${code} renamed` })
    }
  },
  'open count': async () => {
    const code = somewhere()
    const kind = oneOf(['month-end', 'cycle'])
    const count = await askAs('keeper', code, `open ${kind} count`, 'post', `/v1/warehouses/${code}/counts`, {
      kind,
      ...(kind === 'month-end' ? { period: h.clock.today().slice(0, 7) } : { parts: [oneOf(parts).number] })
    })
    if (count !== null) await counted(count.number, code)
  },
  'go on with count': async () => {
    const count = await some('stock_count', ['counting', 'awaiting-signatures'])
    if (count !== undefined) await counted(count.number, count.warehouse)
  },
  'cancel count': async () => {
    const count = await some('stock_count', ['counting'])
    if (count !== undefined && once(2))
      await askAs('keeper', count.warehouse, 'cancel count', 'post', `/v1/counts/${count.number}/cancellation`, {
        reason: 'another day'
      })
  },
  'close month': async () => {
    const code = somewhere()
    const month = Temporal.PlainYearMonth.from(h.clock.today().slice(0, 7)).subtract({ months: below(2) })
    await askAs(
      'finance-supervisor',
      code,
      'close month',
      'post',
      `/v1/warehouses/${code}/periods/${month.toString()}/closing`
    )
  },
  transfer: async () => {
    const goods = await someGoods()
    if (goods === undefined) return
    const { code: from, part } = goods
    const to = oneOf(warehouses.filter((other) => other.code !== from)).code
    const transfer = await askAs('stock-controller', from, 'order transfer', 'post', '/v1/transfers', {
      from,
      to,
      lines: [{ part, quantity: '1' }],
      because: 'needed there'
    })
    if (transfer !== null) await dispatched(transfer.number, from)
  },
  'go on with transfer': async () => {
    const transfer = await some('transfer', ['ordered', 'in-transit'])
    if (transfer === undefined) return
    if (transfer.state !== 'in-transit') {
      await dispatched(transfer.number, transfer.warehouse)
      return
    }
    const [to] = await h.sql<{ code: string }>('select code from warehouse where id = $1', [
      transfer['to_warehouse_id']
    ])
    if (to === undefined) return
    const into = await askAs(
      'keeper',
      to.code,
      'receive transfer',
      'post',
      `/v1/transfers/${transfer.number}/in-slip`,
      { lines: [{ line: 1, quantity: '1' }] }
    )
    if (into !== null) await carryThrough(to.code, into.slip.number)
  },
  request: () => {
    const code = oneOf(warehouses.slice(3)).code
    return askAs('outlet-clerk', code, 'request', 'post', '/v1/requests', {
      warehouse: code,
      urgency: 'normal',
      needBy: day(20),
      lines: [{ part: oneOf(parts).number, quantity: String(1 + below(2)) }]
    })
  },
  'acknowledge alert': async () => {
    const alert = await some('alert', ['open'])
    if (alert !== undefined)
      await askAs(
        oneOf(['keeper', 'department-head', 'stock-controller']),
        alert.warehouse,
        'acknowledge',
        'post',
        `/v1/alerts/${alert['id']}/acknowledgement`,
        {
          note: 'seen'
        }
      )
  },
  relay: () => again('relay', () => relayed(h)),
  job: () => {
    const job = oneOf(NIGHTLY)
    return again(job.name, () => runJob(h, job))
  }
}
const ACTS = Object.keys(acts).flatMap((act) =>
  Array<string>(['lend', 'return unit', 'see to unit', 'move tools', 'see to loss'].includes(act) ? 3 : 1).fill(act)
)
const NIGHTLY = jobs.filter(({ schedule }) => schedule !== undefined)

/** Signed by who takes: the technician, the colleague, or a keeper. */
async function settled(number: string): Promise<void> {
  const [document] = await h.sql<{ taker: number | null; preparer: number; at: string }>(
    `select d.taker_id as taker, d.prepared_by as preparer, w.code as at from tool_document d join warehouse w on w.id = coalesce(d.to_warehouse_id, d.warehouse_id) where d.number = $1`,
    [number]
  )
  if (document === undefined) return
  const by = people.get(document.taker ?? 0) ?? (await somebody('keeper', document.at))
  const end = below(8)
  if (end === 0) await ask('refuse tools', by, 'post', `/v1/tool-documents/${number}/refusal`, { reason: 'not mine' })
  else if (end === 1)
    await ask(
      'cancel tools',
      people.get(document.preparer) ?? by,
      'post',
      `/v1/tool-documents/${number}/cancellation`,
      { reason: 'not now' }
    )
  else await ask('sign tools', by, 'post', `/v1/tool-documents/${number}/signature`)
}

async function dispatched(number: string, from: string): Promise<void> {
  const out = await askAs('keeper', from, 'dispatch transfer', 'post', `/v1/transfers/${number}/out-slip`)
  if (out !== null) await carryThrough(from, out.slip.number)
}

/** Counts what the ledger has, now and then one more; explains, verifies, submits and signs. */
async function counted(number: string, code: string): Promise<void> {
  const path = `/v1/counts/${number}`
  const lines = await h.sql<{ line: number; counted: string }>(
    `select line_no as line, trim_scale(b.on_hand + case when line_no % 3 = $2 then 1 else 0 end)::text as counted
       from stock_count c join count_line l on l.warehouse_id = c.warehouse_id and l.count_id = c.id
       join balance b on (b.warehouse_id, b.part_id, b.ownership, b.condition) = (l.warehouse_id, l.part_id, l.ownership, l.condition)
      where c.number = $1 order by 1`,
    [number, below(6)]
  )
  if (lines.length === 0) return
  const entries = lines.map((line) => ({ ...line, card: line.counted }))
  await askAs('keeper', code, 'count', 'post', `${path}/entries`, { entries })
  await askAs('technician', code, 'count again', 'post', `${path}/entries`, { entries })
  await askAs('keeper', code, 'explain', 'post', `${path}/explanations`, {
    lines: lines.map(({ line }) => ({ line, cause: 'found', evidence: 'seen', unitCost: '12.50' }))
  })
  await askAs('finance-supervisor', code, 'verify variances', 'post', `${path}/verifications`, {
    lines: lines.map(({ line }) => ({ line, accepted: true }))
  })
  await askAs('keeper', code, 'submit count', 'post', `${path}/submission`)
  for (const duty of ['finance-supervisor', 'department-head', 'stock-controller'] as const)
    await askAs(duty, code, 'sign count', 'post', `${path}/signatures`, { duty, decision: 'approve' })
}

/** A job is run again by its queue when it was the victim of a deadlock; anything else that it throws is a fault. */
async function again(name: string, work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work()
      return
    } catch (error) {
      if ((error as { code?: string }).code === '40P01' && attempt < 8) continue
      fault(`${name}: ${(error as Error).stack ?? String(error)}`)
      return
    }
  }
}

/** A head office, two regions with a centre and an outlet each, and people with every duty. */
async function settle(): Promise<void> {
  h.clock.set(DEFAULT_TIME)
  people = new Map()
  faults = []
  const joins = async (...grants: { duty: Duty; warehouse?: string }[]) => {
    const person = await h.make.person({ grants })
    people.set(person.id, callerFor(h, person))
  }
  // One head office at a time: that of the game before has closed down.
  await h.sql("update warehouse set closed_on = '2000-01-01'")
  const headOffice = await h.make.warehouse({ kind: 'head-office' })
  const centres = [
    await h.make.warehouse({ kind: 'regional-centre', parent: headOffice.code }),
    await h.make.warehouse({ kind: 'regional-centre', parent: headOffice.code })
  ]
  warehouses = [headOffice, ...centres]
  for (const { code, region } of centres) warehouses.push(await h.make.warehouse({ parent: code, region }))
  // One that holds nothing at first, and may close.
  warehouses.push(await h.make.warehouse({ parent: headOffice.code }))
  for (const { code: warehouse } of warehouses) {
    await joins({ duty: 'keeper', warehouse })
    await joins({ duty: 'technician', warehouse })
    await joins({ duty: 'technician', warehouse }, { duty: 'outlet-clerk', warehouse })
  }
  await joins()
  for (const duty of [...SIGNERS, 'stock-controller', 'hq-finance', 'administrator'] as const) {
    await joins({ duty })
    await joins({ duty })
  }
  model = await h.make.part({ standardCost: '1000.0000' })
  await h.sql('update part set loaner_family = $2 where id = $1', [model.id, `F-${model.number}`])
  parts = [await h.make.part(), await h.make.part(), await h.make.part({ exchangeDueDays: 10, oldPartValue: '5.00' })]
}

/** What is where, and what was said of it: a job that has nothing to do leaves it as it is. */
const standing = () =>
  h.sql<Record<string, string>>(
    `select (select md5(string_agg(row(id, kind, subject, state, level, reminders)::text, ';' order by warehouse_id, id)) from alert) as alerts,
            (select md5(string_agg(row(number, state, version)::text, ';' order by warehouse_id, id)) from slip) as slips,
            (select md5(string_agg(row(serial, state, held_by, lot_id, version)::text, ';' order by warehouse_id, id)) from loaner_unit) as units,
            (select md5(string_agg(row(number, state, notices, version)::text, ';' order by warehouse_id, id)) from loan) as loans,
            (select md5(string_agg(row(serial, state, holder_id, version)::text, ';' order by id)) from tool) as tools,
            (select md5(string_agg(row(warehouse_id, id, quantity, consumed, released_at)::text, ';' order by warehouse_id, id)) from reservation) as reservations,
            (select md5(string_agg(row(number, state, version)::text, ';' order by warehouse_id, id)) from handover) as handovers,
            (select count(*)::text from mail) as mails`
  )

/** What the books say twice and not the same. */
const disagreements = () =>
  h.sql<{ fault: string }>(
    `with unit as (
       select u.*, l.on_hand,
              (select sum(m.quantity) from loaner_movement m where m.unit_warehouse_id = u.warehouse_id and m.unit_id = u.id) as shelved
         from loaner_unit u left join lot l on l.warehouse_id = u.held_by and l.id = u.lot_id where u.part_id = $1)
     select 'unit not in one place: ' || serial || ' ' || state as fault from unit
      where (lot_id is not null) <> (coalesce(shelved, 0) = 1) or (lot_id is not null and on_hand <> 1)
         or (state in ('registered', 'withdrawn', 'retired') and lot_id is not null)
         or (state = 'in-service' and (lot_id is null) <> (loan_id is not null))
         or (state = 'in-transit') <> (moving_to is not null)
     union all
     select 'loan and unit disagree: ' || l.number || ' ' || l.state from loan l join unit u on u.warehouse_id = l.unit_warehouse_id and u.id = l.unit_id
      where (l.state = 'out') <> (u.loan_id is not distinct from l.id and u.loan_warehouse_id is not distinct from l.warehouse_id)
     union all
     select 'shelf and units disagree: ' || b.warehouse_id || ' ' || b.condition from balance b
      where b.part_id = $1 and b.on_hand <> (select count(*) from unit u where u.held_by = b.warehouse_id and u.condition = b.condition and u.lot_id is not null)
     union all
     select 'tool and its journal disagree: ' || t.serial from tool t
       left join lateral (select e.* from custody_entry e where e.tool_id = t.id order by e.seq desc limit 1) last on true
      where (last.to_place, last.to_person_id, last.warehouse_id, last.seq) is distinct from (t.state, t.holder_id, t.warehouse_id, t.moves)
     union all
     select 'goods without a keeper and without an alert: ' || w.code from warehouse w
      where w.id = any ($2::int[]) and w.closed_on is null and exists (select 1 from balance b where b.warehouse_id = w.id and b.on_hand > 0)
        and not exists (select 1 from duty_holder d where d.duty = 'keeper' and d.valid_from <= $3::date and coalesce(d.valid_to >= $3::date, true)
                           and coalesce(d.warehouse_id = w.id, true) and coalesce(d.region_id = w.region_id, true))
        and not exists (select 1 from alert a where a.warehouse_id = w.id and a.kind = 'keeper-missing' and a.state <> 'resolved')`,
    [model.id, warehouses.map(({ id }) => id), h.clock.today()]
  )

async function night(): Promise<void> {
  for (const job of NIGHTLY) await again(job.name, () => runJob(h, job))
  await again('relay', () => relayed(h))
}

test.for(Array.from({ length: SEEDS }, (_, n) => FIRST_SEED + n))(
  'whatever people do, nothing answers that the service is at fault, and the books agree afterwards, seed %i (R-ERR-1, R-STK-4, R-LOAN-1, R-TOOL-1, R-ORG-3, R-ALR-2)',
  { timeout: 240_000 },
  async (seed) => {
    below = random(seed)
    await settle()
    for (const act of ['register units', 'register tools', 'take in']) for (let n = 0; n < 6; n++) await acts[act]()
    for (let round = 0; round < ROUNDS; round++) {
      const chosen = Array.from({ length: 2 + below(5) }, () => oneOf(ACTS))
      await Promise.all(chosen.map((act) => acts[act]()))
      if (once(6)) h.clock.advance(oneOf<Temporal.DurationLike>([{ hours: 5 }, { days: 1 }, { days: 4 }]))
      if (once(30)) h.clock.advance({ months: 1 })
    }
    await again('relay', () => relayed(h))
    await night()
    const before = await standing()
    await night()

    expect({ faults, standing: await standing(), disagreements: await disagreements() }).toEqual({
      faults: [],
      standing: before,
      disagreements: []
    })
    const auditor = callerFor(
      h,
      await h.make.person({ grants: [{ duty: 'stock-controller' }, { duty: 'hq-finance' }] })
    )
    expect((await auditor.get('/v1/ledger/verification')).body).toMatchObject({ ok: true, findings: [] })
    const closed = await h.sql<{ code: string; period: string }>(
      `select w.code, to_char(s.period, 'YYYY-MM') as period from period_statement s join warehouse w on w.id = s.warehouse_id where w.id = any ($1::int[])`,
      [warehouses.map(({ id }) => id)]
    )
    for (const { code, period } of closed) {
      const { body } = await auditor.get(`/v1/warehouses/${code}/periods/${period}/journal`)
      expect(body.totals.debit).toBe(body.totals.credit)
    }
  }
)
