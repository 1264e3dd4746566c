import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openCounter, callerFor, SIGNERS, type Counter } from '../support/counter.ts'
import { openHarness, type Harness } from '../support/harness.ts'

let h: Harness
let counter: Counter

beforeAll(async () => {
  h = await openHarness()
  counter = await openCounter(h)
})
afterEach(async () => {
  h.clock.set('2026-11-20T10:00')
  expect(await counter.verify()).toMatchObject({ ok: true, findings: [] })
})
afterAll(() => h.close())

const slips = () => `/v1/warehouses/${counter.warehouse}/slips`

describe('writing', () => {
  test('numbers are gapless per warehouse, kind and month, however many write at once', async () => {
    const own = await openCounter(h)
    const part = await h.make.part({ standardCost: '1' })
    const numbers = await Promise.all(
      Array.from({ length: 25 }, () =>
        own.slip({ kind: 'receipt', lines: [{ part: part.number, quantity: '1' }] }).then(({ number }) => number)
      )
    )
    await own.keeper.post(`/v1/warehouses/${own.warehouse}/slips`, {
      kind: 'receipt',
      lines: [{ part: 'NO-SUCH-PART', quantity: '1' }]
    })
    const next = await own.slip({ kind: 'receipt', lines: [{ part: part.number, quantity: '1' }] })

    expect(numbers.sort()).toEqual(
      Array.from({ length: 25 }, (_, index) => `${own.warehouse}-IN-202611-${String(index + 1).padStart(5, '0')}`)
    )
    expect(next.number).toBe(`${own.warehouse}-IN-202611-00026`)
  })

  test('a draft is kept, submitted, signed and posted', async () => {
    const part = await counter.stocked()
    const draft = await counter.slip({ kind: 'issue', submit: false, lines: [{ part: part.number, quantity: '1' }] })
    expect(draft).toMatchObject({ state: 'draft', awaiting: [], submittedAt: null })
    const submitted = await counter.keeper.post(`/v1/slips/${draft.number}/submission`)
    expect(submitted.body).toMatchObject({ state: 'awaiting-signatures', awaiting: SIGNERS })
    expect((await counter.signAndPost(draft.number)).body).toMatchObject({ state: 'posted' })
  })

  test('a box of 12 is received by the box and issued singly', async () => {
    const part = await h.make.part({ units: { box: '12' } })
    await counter.posted({
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '2', unit: 'box', unitCost: '1.00' }]
    })
    await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '5' }] })
    expect(await counter.onHand(part.number)).toBe('19')
  })

  test('a receipt from a supplier who is not authorised for the part is refused (R-CAT-3)', async () => {
    const [allowed, other] = [await h.make.part({ standardCost: '1' }), await h.make.part({ standardCost: '1' })]
    const supplier = await h.make.supplier({ parts: [allowed.number] })
    const receipt = (part: string, more: object) =>
      counter.keeper.post(slips(), { kind: 'receipt', ...more, lines: [{ part, quantity: '1' }] })

    expect(await receipt(allowed.number, { supplier: supplier.code })).toMatchObject({
      status: 201,
      body: { supplier: supplier.code }
    })
    expect(await receipt(other.number, { supplier: supplier.code })).toMatchObject({
      status: 422,
      body: { code: 'SupplierNotAuthorised', parts: [other.number] }
    })
    expect(await receipt(other.number, { counterparty: supplier.code })).toMatchObject({
      status: 422,
      body: { code: 'SupplierNotAuthorised' }
    })
    expect(await receipt(allowed.number, { supplier: 'NOBODY' })).toMatchObject({
      status: 422,
      body: { code: 'SupplierUnknown' }
    })
  })

  test('consigned goods carry no cost, and the slip says so (R-STK-6)', async () => {
    const part = await h.make.part()
    const priced = await counter.keeper.post(slips(), {
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '1', ownership: 'consigned', unitCost: '5' }]
    })
    expect(priced).toMatchObject({ status: 422, body: { code: 'ConsignedHasNoCost' } })
    const posted = await counter.posted({
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '3', ownership: 'consigned' }]
    })
    expect(posted.lines).toMatchObject([{ ownership: 'consigned', unitCost: null, movements: [{ cost: '0.00' }] }])
  })

  test('nonconforming goods never leave as qualified, but may be scrapped (R-STK-1)', async () => {
    const part = await counter.stocked({ condition: 'nonconforming', quantity: '2' })
    expect(
      await counter.keeper.post(slips(), {
        kind: 'issue',
        lines: [{ part: part.number, quantity: '1', condition: 'nonconforming' }]
      })
    ).toMatchObject({ status: 422, body: { code: 'ConditionNotIssued' } })
    await counter.posted({
      kind: 'scrap',
      reason: 'bent',
      lines: [{ part: part.number, quantity: '1', condition: 'nonconforming' }]
    })
    expect(await counter.onHand(part.number, 'own', 'nonconforming')).toBe('1')
  })
})

describe('every kind of R-OUT-4', () => {
  test.each([
    ['issue', { purpose: 'repair-order', reference: 'RO-1' }],
    ['issue', { purpose: 'technician', reference: '张三' }],
    ['issue', { purpose: 'outlet', reference: 'NJ03' }],
    ['sale', {}],
    ['transfer-out', {}],
    ['supplier-return', {}],
    ['scrap', { reason: 'broken' }],
    ['loan-out', {}]
  ])('%s %j takes goods out, own or consigned', async (kind, more) => {
    const own = await counter.stocked({ quantity: '3' })
    const consigned = await counter.stocked({ quantity: '3', ownership: 'consigned' })
    const posted = await counter.posted({
      kind,
      ...more,
      lines: [
        { part: own.number, quantity: '1' },
        { part: consigned.number, quantity: '1', ownership: 'consigned' }
      ]
    })
    expect(posted).toMatchObject({
      kind,
      ...more,
      lines: [
        { direction: 'out', ownership: 'own' },
        { direction: 'out', ownership: 'consigned' }
      ]
    })
    expect([await counter.onHand(own.number), await counter.onHand(consigned.number, 'consigned')]).toEqual(['2', '2'])
  })

  test('an adjustment books gain and loss on one slip', async () => {
    const [less, more] = [await counter.stocked(), await counter.stocked()]
    const posted = await counter.posted({
      kind: 'adjustment',
      reason: 'count',
      lines: [
        { part: less.number, quantity: '-1' },
        { part: more.number, quantity: '2', unitCost: '3.00' }
      ]
    })
    expect(posted.lines).toMatchObject([
      { direction: 'out', quantity: '1' },
      { direction: 'in', quantity: '2' }
    ])
    expect([await counter.onHand(less.number), await counter.onHand(more.number)]).toEqual(['9', '12'])
  })

  test('goods transferred in and opening stock keep their age (R-AGE-7)', async () => {
    const part = await h.make.part()
    for (const kind of ['opening', 'transfer-in'])
      await counter.posted({
        kind,
        lines: [{ part: part.number, quantity: '1', unitCost: '100', receivedOn: '2026-07-31' }]
      })
    const lots = await counter.keeper.get(`/v1/warehouses/${counter.warehouse}/lots?part=${part.number}`)
    expect(lots.body.items).toMatchObject([
      {
        receivedOn: '2026-07-31',
        openedOn: '2026-11-20',
        ageMonths: 5,
        accumulatedDepreciation: '8.00',
        value: '92.00'
      },
      { receivedOn: '2026-07-31', accumulatedDepreciation: '8.00' }
    ])
  })
})

describe('signing', () => {
  test('needs three different people, none of whom prepared the slip (R-SIG-1)', async () => {
    const part = await counter.stocked()
    const all = callerFor(
      h,
      await h.make.person({
        grants: ['keeper', ...SIGNERS].map((duty) => ({ duty: duty as 'keeper', warehouse: counter.warehouse }))
      })
    )
    const mine = (await all.post(slips(), { kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })).body
    expect(
      await all.post(`/v1/slips/${mine.number}/signatures`, { duty: 'department-head', decision: 'approve' })
    ).toMatchObject({ status: 422, body: { code: 'PreparerMaySign' } })

    const theirs = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    expect(
      await all.post(`/v1/slips/${theirs.number}/signatures`, { duty: 'department-head', decision: 'approve' })
    ).toMatchObject({ status: 200 })
    expect(
      await all.post(`/v1/slips/${theirs.number}/signatures`, { duty: 'finance-supervisor', decision: 'approve' })
    ).toMatchObject({ status: 409, body: { code: 'AlreadySigned' } })
    expect(
      await counter.signers['department-head'].post(`/v1/slips/${theirs.number}/signatures`, {
        duty: 'department-head',
        decision: 'approve'
      })
    ).toMatchObject({ status: 409, body: { code: 'DutyAlreadySigned' } })
    expect(await counter.keeper.post(`/v1/slips/${theirs.number}/posting`)).toMatchObject({
      status: 409,
      body: { code: 'SlipNotApproved' }
    })
  })

  test('many who sign for one duty at once: one signature counts', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    const heads = await Promise.all(
      Array.from({ length: 6 }, async () =>
        callerFor(h, await h.make.person({ grants: [{ duty: 'department-head', warehouse: counter.warehouse }] }))
      )
    )
    const answers = await Promise.all(
      heads.map((head) =>
        head.post(`/v1/slips/${slip.number}/signatures`, { duty: 'department-head', decision: 'approve' })
      )
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409])
  })

  test('the preparer never signs through a deputy, and nobody’s authority counts twice (R-SIG-1, R-ORG-2)', async () => {
    const part = await counter.stocked()
    const own = await openCounter(h)
    const deputyOf = async (principal: { person: { username: string } }, duty: string) => {
      const deputy = await h.make.person()
      const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
      const made = await admin.post('/v1/delegations', {
        from: principal.person.username,
        to: deputy.username,
        duty,
        validFrom: '2026-11-20',
        validTo: '2026-11-30',
        reason: '年假'
      })
      expect(made.status).toBe(201)
      return callerFor(h, { ...deputy, token: deputy.token })
    }
    const both = callerFor(
      h,
      await h.make.person({
        grants: [
          { duty: 'keeper', warehouse: counter.warehouse },
          { duty: 'department-head', warehouse: counter.warehouse }
        ]
      })
    )
    const deputy = await deputyOf(both, 'department-head')
    const mine = (await both.post(slips(), { kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })).body
    expect(
      await deputy.post(`/v1/slips/${mine.number}/signatures`, { duty: 'department-head', decision: 'approve' })
    ).toMatchObject({ status: 422, body: { code: 'PreparerMaySign' } })

    const twoDuties = callerFor(
      h,
      await h.make.person({
        grants: [
          { duty: 'department-head', warehouse: counter.warehouse },
          { duty: 'operations-supervisor', warehouse: counter.warehouse }
        ]
      })
    )
    const stand = await deputyOf(twoDuties, 'department-head')
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    expect(
      (await stand.post(`/v1/slips/${slip.number}/signatures`, { duty: 'department-head', decision: 'approve' })).status
    ).toBe(200)
    expect(
      await twoDuties.post(`/v1/slips/${slip.number}/signatures`, {
        duty: 'operations-supervisor',
        decision: 'approve'
      })
    ).toMatchObject({ status: 409, body: { code: 'AlreadySigned' } })
    expect(own.warehouse).not.toBe(counter.warehouse)
  })

  test('a slip whose month was closed meanwhile is neither submitted nor signed, only refused or cancelled', async () => {
    const own = await openCounter(h)
    const part = await own.stocked()
    const lines = [{ part: part.number, quantity: '1' }]
    const awaiting = await own.slip({ kind: 'issue', lines })
    const refused = await own.slip({ kind: 'issue', lines })
    const draft = await own.slip({ kind: 'issue', submit: false, lines })
    await own.sign(awaiting.number, SIGNERS.slice(0, 2))
    h.clock.set('2026-12-02T10:00')
    const open = await own.slip({ kind: 'issue', lines })
    await h.sql(`insert into stock_period values ($1, '2026-11-01', 'closed', now())`, [own.warehouseId])

    const sign = (number: string, decision: string) =>
      own.signers['finance-supervisor'].post(`/v1/slips/${number}/signatures`, {
        duty: 'finance-supervisor',
        decision,
        ...(decision === 'refuse' && { comment: 'too late' })
      })
    expect(await sign(awaiting.number, 'approve')).toMatchObject({
      status: 409,
      body: {
        code: 'PeriodClosed',
        detail: `the period 2026-11 was closed before ${awaiting.number} was signed; cancel it and write a new one dated into an open period`
      }
    })
    const { body } = await own.signers['finance-supervisor'].post('/v1/slip-signatures', {
      duty: 'finance-supervisor',
      decision: 'approve',
      slips: [awaiting.number, open.number]
    })
    expect(body).toMatchObject({
      signed: 1,
      results: [{ problem: { code: 'PeriodClosed' } }, { state: 'awaiting-signatures' }]
    })
    expect((await sign(refused.number, 'refuse')).body.state).toBe('refused')
    for (const { number } of [draft, refused])
      expect(await own.keeper.post(`/v1/slips/${number}/submission`)).toMatchObject({
        status: 409,
        body: {
          code: 'PeriodClosed',
          detail: `the period 2026-11 was closed before ${number} was submitted; cancel it and write a new one dated into an open period`
        }
      })
    for (const { number } of [draft, refused, awaiting])
      expect(
        (await own.keeper.post(`/v1/slips/${number}/cancellation`, { reason: 'written anew in December' })).body
      ).toMatchObject({ state: 'cancelled' })
  })

  test('a draft is signed by the duties that sign such slips when it is submitted', async () => {
    const part = await counter.stocked()
    const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
    const draft = await counter.slip({ kind: 'sale', submit: false, lines: [{ part: part.number, quantity: '1' }] })
    await admin.put('/v1/signing-policies/sale', { duties: [...SIGNERS, 'hq-finance'] })
    expect((await counter.keeper.post(`/v1/slips/${draft.number}/submission`)).body.awaiting).toEqual([
      ...SIGNERS,
      'hq-finance'
    ])
    await admin.put('/v1/signing-policies/sale', { duties: [...SIGNERS] })
    expect(
      (await counter.keeper.put(`/v1/slips/${draft.number}`, { lines: [{ part: part.number, quantity: '2' }] })).body
        .awaiting
    ).toEqual(SIGNERS)
  })

  test('bulk signing may name what was read, and refuses another content', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.keeper.put(`/v1/slips/${slip.number}`, { lines: [{ part: part.number, quantity: '9' }] })
    const answer = await counter.signers['department-head'].post('/v1/slip-signatures', {
      duty: 'department-head',
      decision: 'approve',
      slips: [{ number: slip.number, contentHash: slip.contentHash }]
    })
    expect(answer.body).toMatchObject({ signed: 0, results: [{ problem: { code: 'ContentChanged' } }] })
  })

  test('what was said before an amendment stays in the history', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', note: 'first', lines: [{ part: part.number, quantity: '1' }] })
    await counter.keeper.put(`/v1/slips/${slip.number}`, {
      note: 'second',
      lines: [{ part: part.number, quantity: '2' }]
    })
    const { body } = await counter.keeper.get(`/v1/slips/${slip.number}/history`)
    expect(body.items[1]).toMatchObject({
      event: 'amended',
      details: { content: { note: 'first', lines: [{ quantity: '-1' }] } }
    })
    expect(
      await counter.keeper.put(`/v1/slips/${slip.number}`, {
        submit: false,
        lines: [{ part: part.number, quantity: '2' }]
      })
    ).toMatchObject({ status: 422, body: { code: 'NotADraft' } })
  })

  test('all three at once approve it', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await Promise.all(
      SIGNERS.map((duty) =>
        counter.signers[duty].post(`/v1/slips/${slip.number}/signatures`, { duty, decision: 'approve' })
      )
    )
    expect((await counter.keeper.get(`/v1/slips/${slip.number}`)).body).toMatchObject({
      state: 'approved',
      awaiting: []
    })
  })

  test('binds to the content; amending voids what was signed (R-SIG-2)', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(slip.number, ['department-head', 'operations-supervisor'])
    const amended = await counter.keeper.put(`/v1/slips/${slip.number}`, {
      lines: [{ part: part.number, quantity: '2' }]
    })
    expect(amended.body).toMatchObject({ state: 'awaiting-signatures', signatures: [], awaiting: SIGNERS, version: 4 })
    expect(amended.body.contentHash).not.toBe(slip.contentHash)
    expect(
      await counter.signers['department-head'].post(`/v1/slips/${slip.number}/signatures`, {
        duty: 'department-head',
        decision: 'approve',
        contentHash: slip.contentHash
      })
    ).toMatchObject({ status: 409, body: { code: 'ContentChanged' } })
    expect(
      await counter.keeper.put(
        `/v1/slips/${slip.number}`,
        { lines: [{ part: part.number, quantity: '3' }] },
        { 'if-match': '"1"' }
      )
    ).toMatchObject({ status: 412 })
    await counter.signAndPost(slip.number)
    expect(await counter.onHand(part.number)).toBe('8')
  })

  test('amending to fewer and to more lines says the whole slip anew', async () => {
    const [a, b, c] = [await counter.stocked(), await counter.stocked(), await counter.stocked()]
    const slip = await counter.slip({
      kind: 'issue',
      lines: [
        { part: a.number, quantity: '1' },
        { part: b.number, quantity: '1' }
      ]
    })
    await counter.keeper.put(`/v1/slips/${slip.number}`, { lines: [{ part: c.number, quantity: '4' }] })
    const grown = await counter.keeper.put(`/v1/slips/${slip.number}`, {
      lines: [
        { part: b.number, quantity: '1' },
        { part: c.number, quantity: '2' },
        { part: a.number, quantity: '3' }
      ]
    })
    expect((await counter.keeper.get(`/v1/slips/${slip.number}`)).body).toEqual(grown.body)
    await counter.signAndPost(slip.number)
    expect([await counter.onHand(a.number), await counter.onHand(b.number), await counter.onHand(c.number)]).toEqual([
      '7',
      '9',
      '8'
    ])
  })

  test('content changed behind the service is found out before posting (R-SIG-2)', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(slip.number)
    await h.sql(`update slip_line set quantity = -9 where slip_id = (select id from slip where number = $1)`, [
      slip.number
    ])
    expect(await counter.keeper.post(`/v1/slips/${slip.number}/posting`)).toMatchObject({
      status: 409,
      body: { code: 'SignatureOfOtherContent' }
    })
    await counter.keeper.post(`/v1/slips/${slip.number}/cancellation`, { reason: 'tampered' })
  })

  test('a refusal sends the slip back with its reason, and it can be mended (R-SIG-3)', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(slip.number, ['department-head'])
    const finance = counter.signers['finance-supervisor']
    expect(
      await finance.post(`/v1/slips/${slip.number}/signatures`, { duty: 'finance-supervisor', decision: 'refuse' })
    ).toMatchObject({ status: 422, body: { code: 'ReasonMissing' } })
    expect(
      await finance.post(`/v1/slips/${slip.number}/signatures`, {
        duty: 'finance-supervisor',
        decision: 'refuse',
        comment: 'which customer?'
      })
    ).toMatchObject({ status: 200, body: { state: 'refused', signatures: [] } })
    expect((await counter.keeper.get(`/v1/slips/${slip.number}`)).body.refusal).toMatchObject({
      by: finance.person.username,
      duty: 'finance-supervisor',
      reason: 'which customer?'
    })
    expect((await counter.keeper.post(`/v1/slips/${slip.number}/submission`)).body.refusal).toBeNull()
    expect((await counter.signAndPost(slip.number)).body.state).toBe('posted')
    const history = await counter.keeper.get(`/v1/slips/${slip.number}/history`)
    expect(history.body.items.map(({ event }: { event: string }) => event)).toEqual([
      'submitted',
      'signed',
      'refused',
      'submitted',
      'signed',
      'signed',
      'signed',
      'posted'
    ])
  })

  test('one signer signs many slips in one call; one that cannot be signed holds up no other', async () => {
    const part = await counter.stocked()
    const numbers: string[] = []
    for (let count = 0; count < 3; count++)
      numbers.push((await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })).number)
    await counter.sign(numbers[1], ['department-head'])
    const answer = await counter.signers['department-head'].post('/v1/slip-signatures', {
      duty: 'department-head',
      decision: 'approve',
      slips: numbers
    })
    expect(answer.body).toMatchObject({
      signed: 2,
      refused: 1,
      results: [
        { state: 'awaiting-signatures', problem: null },
        { state: null, problem: { code: 'AlreadySigned' } },
        { problem: null }
      ]
    })
  })

  test('somebody standing in signs for who is on leave, and it is written down (R-ORG-2)', async () => {
    const part = await counter.stocked()
    const deputy = await h.make.person({})
    const head = counter.signers['department-head']
    expect(
      (
        await head.post('/v1/delegations', {
          to: deputy.username,
          duty: 'department-head',
          validFrom: '2026-11-20',
          validTo: '2026-11-30',
          reason: '年假'
        })
      ).status
    ).toBe(201)
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    const signed = await callerFor(h, deputy).post(`/v1/slips/${slip.number}/signatures`, {
      duty: 'department-head',
      decision: 'approve'
    })
    expect(signed.body.signatures).toMatchObject([
      { duty: 'department-head', signedBy: deputy.username, onBehalfOf: head.person.username }
    ])
  })
})

describe('handing out', () => {
  test('in an emergency with exactly one signature missing, due within 24 hours (R-OUT-2)', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '2' }] })
    const release = {
      missingDuty: 'finance-supervisor',
      authorisedBy: '李主管 (telephone)',
      reason: 'ambulance off the road',
      handedTo: '王师傅'
    }
    await counter.sign(slip.number, ['department-head'])
    expect(await counter.keeper.post(`/v1/slips/${slip.number}/emergency-release`, release)).toMatchObject({
      status: 422,
      body: { code: 'NotExactlyOneMissing' }
    })
    await counter.sign(slip.number, ['operations-supervisor'])
    expect(
      await counter.keeper.post(`/v1/slips/${slip.number}/emergency-release`, {
        ...release,
        missingDuty: 'department-head'
      })
    ).toMatchObject({ status: 422, body: { code: 'DutyNotMissing' } })

    const released = await counter.keeper.post(`/v1/slips/${slip.number}/emergency-release`, release)
    expect(released.body).toMatchObject({
      state: 'posted',
      lateSignature: { duty: 'finance-supervisor', dueAt: '2026-11-21T02:00:00Z', overdue: false },
      awaiting: ['finance-supervisor']
    })
    expect(await counter.onHand(part.number)).toBe('8')
    h.clock.set('2026-11-21T10:01')
    expect((await counter.keeper.get(`${slips()}?lateSignature=true`)).body.items).toMatchObject([
      { number: slip.number, lateSignature: { overdue: true } }
    ])

    expect(
      await counter.signers['finance-supervisor'].post(`/v1/slips/${slip.number}/signatures`, {
        duty: 'finance-supervisor',
        decision: 'refuse',
        comment: 'no'
      })
    ).toMatchObject({ status: 409, body: { code: 'GoodsAreGone' } })
    const signed = await counter.signers['finance-supervisor'].post(`/v1/slips/${slip.number}/signatures`, {
      duty: 'finance-supervisor',
      decision: 'approve'
    })
    expect(signed.body).toMatchObject({ state: 'posted', lateSignature: null, awaiting: [] })
    expect(signed.body.signatures).toHaveLength(3)
  })

  test('only goods that leave can be released in an emergency', async () => {
    const part = await h.make.part({ standardCost: '1' })
    const receipt = await counter.slip({ kind: 'receipt', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(receipt.number, ['department-head', 'operations-supervisor'])
    expect(
      await counter.keeper.post(`/v1/slips/${receipt.number}/emergency-release`, {
        missingDuty: 'finance-supervisor',
        authorisedBy: 'x',
        reason: 'y',
        handedTo: 'z'
      })
    ).toMatchObject({ status: 422, body: { code: 'NotOutbound' } })
  })

  test('the keeper may refuse when papers are incomplete (R-OUT-3)', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(slip.number)
    expect(
      await counter.keeper.post(`/v1/slips/${slip.number}/release-refusal`, { reason: 'no repair order' })
    ).toMatchObject({ status: 200, body: { state: 'refused' } })
    expect((await counter.signers['finance-supervisor'].get(`${slips()}?state=refused`)).body.items).toContainEqual(
      expect.objectContaining({ number: slip.number })
    )
  })

  test('a cancelled slip never takes effect and keeps its number', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    expect(
      await counter.keeper.post(`/v1/slips/${slip.number}/cancellation`, { reason: 'customer left' })
    ).toMatchObject({ status: 200, body: { state: 'cancelled' } })
    expect(await counter.keeper.post(`/v1/slips/${slip.number}/posting`)).toMatchObject({ status: 409 })
    expect(
      await counter.signers['department-head'].post(`/v1/slips/${slip.number}/signatures`, {
        duty: 'department-head',
        decision: 'approve'
      })
    ).toMatchObject({ status: 409 })
  })

  test('the same slip posted by many at once is posted once', async () => {
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(slip.number)
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => counter.keeper.post(`/v1/slips/${slip.number}/posting`))
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409])
    expect(await counter.onHand(part.number)).toBe('9')
  })

  test('a posting that the database breaks off, because somebody holds goods in another order, is done again (R-STK-4)', async () => {
    const [first, second] = [await counter.stocked(), await counter.stocked()]
    const { number } = await counter.slip({
      kind: 'issue',
      lines: [first, second].map((part) => ({ part: part.number, quantity: '1' }))
    })
    await counter.sign(number)
    const other = await h.runtime.database.pool.connect()
    const hold = ({ id }: { id: number }) =>
      other.query('select 1 from balance where warehouse_id = $1 and part_id = $2 for no key update', [
        counter.warehouseId,
        id
      ])
    try {
      // Whoever has waited for a second looks who waits for whom; the posting is first.
      await other.query(`begin; set local deadlock_timeout = '60s'`)
      await hold(second)
      const posting = counter.keeper.post(`/v1/slips/${number}/posting`)
      await expect
        .poll(() =>
          h.sql(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
        )
        .toHaveLength(1)
      // The posting holds it, and lets it go only by being broken off.
      await hold(first)
      await other.query('rollback')
      expect(await posting).toMatchObject({ status: 200, body: { state: 'posted' } })
    } finally {
      other.release()
    }
  })

  test('signing policy is data, with three as the floor (R-SIG-1)', async () => {
    const admin = callerFor(h, await h.make.person({ grants: [{ duty: 'administrator' }] }))
    expect(
      await admin.put('/v1/signing-policies/scrap', { duties: ['department-head', 'finance-supervisor'] })
    ).toMatchObject({ status: 422, body: { code: 'ThreeSignersAreTheFloor' } })
    expect(await counter.keeper.put('/v1/signing-policies/scrap', { duties: [...SIGNERS] })).toMatchObject({
      status: 403
    })
    expect(await admin.put('/v1/signing-policies/scrap', { duties: [...SIGNERS, 'stock-controller'] })).toMatchObject({
      status: 200
    })
    const part = await counter.stocked()
    const slip = await counter.slip({ kind: 'scrap', reason: 'broken', lines: [{ part: part.number, quantity: '1' }] })
    await counter.sign(slip.number)
    expect((await counter.keeper.get(`/v1/slips/${slip.number}`)).body).toMatchObject({
      state: 'awaiting-signatures',
      awaiting: ['stock-controller']
    })
    await admin.put('/v1/signing-policies/scrap', { duties: [...SIGNERS] })
  })
})

describe('undoing', () => {
  test('a reversal is a slip of its own that moves the same back, once (R-STK-2)', async () => {
    const part = await counter.stocked()
    const issue = await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '4' }] })
    const reversal = await counter.keeper.post(`/v1/slips/${issue.number}/reversal`, { reason: 'wrong part' })
    expect(reversal).toMatchObject({
      status: 201,
      body: {
        kind: 'reversal',
        sourceSlip: issue.number,
        lines: [{ direction: 'in', quantity: '4' }],
        awaiting: SIGNERS
      }
    })
    expect(await counter.keeper.post(`/v1/slips/${issue.number}/reversal`, { reason: 'again' })).toMatchObject({
      status: 409,
      body: { code: 'AlreadyReversed' }
    })
    await counter.signAndPost(reversal.body.number)
    expect(await counter.onHand(part.number)).toBe('10')
    expect(await counter.keeper.post(`/v1/slips/${reversal.body.number}/reversal`, { reason: 'no' })).toMatchObject({
      status: 422,
      body: { code: 'ReversalNotReversed' }
    })
  })

  test('a reversed slip says so, a second reversal names the first, and a reversal never changes what it reverses', async () => {
    const part = await counter.stocked()
    const [a, b] = [
      await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] }),
      await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '1' }] })
    ]
    const first = await counter.keeper.post(`/v1/slips/${a.number}/reversal`, { reason: 'wrong' })
    const second = await counter.keeper.post(`/v1/slips/${b.number}/reversal`, { reason: 'wrong' })
    expect((await counter.keeper.get(`/v1/slips/${a.number}`)).body.reversal).toEqual({
      number: first.body.number,
      state: 'awaiting-signatures'
    })
    expect((await counter.keeper.post(`/v1/slips/${a.number}/reversal`, { reason: 'again' })).body).toMatchObject({
      code: 'AlreadyReversed',
      reversal: first.body.number
    })
    expect(await counter.keeper.put(`/v1/slips/${second.body.number}`, { reference: a.number })).toMatchObject({
      status: 422,
      body: { code: 'ReversalOfAnother' }
    })
    expect(await counter.keeper.put(`/v1/slips/${second.body.number}`, { reason: 'wrong customer' })).toMatchObject({
      status: 200,
      body: { sourceSlip: b.number, reason: 'wrong customer' }
    })
    await counter.signAndPost(first.body.number)
    const { body } = await counter.keeper.get(`/v1/slips/${a.number}/history`)
    expect(body.items.at(-1)).toMatchObject({ event: 'reversed', details: { by: first.body.number } })
  })

  test('a reversal settles the late signature of what it reverses', async () => {
    const part = await counter.stocked()
    const issue = await counter.slip({ kind: 'issue', lines: [{ part: part.number, quantity: '4' }] })
    await counter.sign(issue.number, ['department-head', 'operations-supervisor'])
    await counter.keeper.post(`/v1/slips/${issue.number}/emergency-release`, {
      missingDuty: 'finance-supervisor',
      authorisedBy: 'x',
      reason: 'y',
      handedTo: 'z'
    })
    const reversal = await counter.keeper.post(`/v1/slips/${issue.number}/reversal`, {
      reason: 'finance did not agree'
    })
    await counter.signAndPost(reversal.body.number)
    expect((await counter.keeper.get(`/v1/slips/${issue.number}`)).body).toMatchObject({ lateSignature: null })
  })

  test('goods come back by the slip they left by, at its cost, good or not (R-IN-3)', async () => {
    const part = await counter.stocked({ unitCost: '3.3333', quantity: '3' })
    const issue = await counter.posted({ kind: 'issue', lines: [{ part: part.number, quantity: '2' }] })
    const back = await counter.posted({
      kind: 'return',
      reference: issue.number,
      reason: 'not needed',
      lines: [
        { part: part.number, quantity: '1' },
        { part: part.number, quantity: '1', condition: 'nonconforming' }
      ]
    })
    const cost = (slip: any) =>
      slip.lines
        .flatMap(({ movements }: any) => movements)
        .reduce((sum: number, movement: any) => sum + Math.round(Number(movement.cost) * 100), 0)
    expect(cost(back)).toBe(-cost(issue))
    expect([await counter.onHand(part.number), await counter.onHand(part.number, 'own', 'nonconforming')]).toEqual([
      '2',
      '1'
    ])
    expect(
      await counter.keeper.post(slips(), { kind: 'return', lines: [{ part: part.number, quantity: '1' }] })
    ).toMatchObject({ status: 422, body: { code: 'SourceSlipRequired' } })
    const tooMuch = await counter.slip({
      kind: 'return',
      reference: issue.number,
      lines: [{ part: part.number, quantity: '1' }]
    })
    expect(await counter.signAndPost(tooMuch.number)).toMatchObject({
      status: 409,
      body: { code: 'ReturnExceedsIssue' }
    })
    await counter.keeper.post(`/v1/slips/${tooMuch.number}/cancellation`, { reason: 'nothing is out' })
  })

  test('what was lent comes back by the slip it was lent by', async () => {
    const part = await counter.stocked()
    const lent = await counter.posted({ kind: 'loan-out', lines: [{ part: part.number, quantity: '1' }] })
    await counter.posted({ kind: 'loan-in', reference: lent.number, lines: [{ part: part.number, quantity: '1' }] })
    expect(await counter.onHand(part.number)).toBe('10')
  })
})

describe('checking a delivery (R-IN-1, R-IN-2)', () => {
  test('only what arrived is posted, and a difference opens a quality report', async () => {
    const part = await h.make.part({ standardCost: '2' })
    const posted = await counter.posted({
      kind: 'receipt',
      deliveryNote: 'DN-7',
      packagesExpected: 3,
      packagesReceived: 3,
      lines: [{ part: part.number, quantity: '8', expectedQuantity: '10' }]
    })
    expect(posted).toMatchObject({
      packagesExpected: 3,
      packagesReceived: 3,
      qualityReports: [expect.stringContaining('-QR-202611-')]
    })
    const reports = await counter.signers['finance-supervisor'].get(
      `/v1/quality-reports?warehouse=${counter.warehouse}`
    )
    expect(reports.body.items[0]).toMatchObject({
      slip: posted.number,
      part: part.number,
      aspects: ['quantity'],
      expectedQuantity: '10',
      receivedQuantity: '8',
      faultyQuantity: '0',
      responsibleParty: null
    })
    expect(await counter.onHand(part.number)).toBe('8')
  })

  test.each([
    ['production', 'consigned'],
    ['carrier', 'consigned'],
    ['own-department', 'own']
  ])('goods faulty through %s become %s, nonconforming', async (responsibleParty, ownership) => {
    const part = await h.make.part({ standardCost: '2' })
    const posted = await counter.posted({
      kind: 'receipt',
      lines: [
        {
          part: part.number,
          quantity: '10',
          expectedQuantity: '10',
          difference: { responsibleParty, faultyQuantity: '3', description: 'scratched' }
        }
      ]
    })
    expect(posted.lines).toMatchObject([
      { quantity: '7', condition: 'qualified' },
      { quantity: '3', condition: 'nonconforming', ownership }
    ])
    expect([await counter.onHand(part.number), await counter.onHand(part.number, ownership, 'nonconforming')]).toEqual([
      '7',
      '3'
    ])
    const reports = await counter.keeper.get(`/v1/quality-reports?warehouse=${counter.warehouse}`)
    expect(reports.body.items[0]).toMatchObject({
      number: posted.qualityReports[0],
      aspects: ['quality'],
      expectedQuantity: '10',
      receivedQuantity: '10',
      faultyQuantity: '3',
      responsibleParty
    })
  })

  test('goods on the note that did not arrive at all are a line that moves nothing and opens a report', async () => {
    const part = await h.make.part({ standardCost: '2' })
    const posted = await counter.posted({
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '0', expectedQuantity: '10' }]
    })
    expect(posted).toMatchObject({
      state: 'posted',
      lines: [{ quantity: '0', movements: [] }],
      qualityReports: [expect.any(String)]
    })
    expect(await counter.onHand(part.number)).toBe('0')
    expect(
      await counter.keeper.post(slips(), { kind: 'receipt', lines: [{ part: part.number, quantity: '0' }] })
    ).toMatchObject({ status: 422, body: { code: 'QuantityNotPositive' } })
  })

  test('faulty goods in a packing unit are split in stock units', async () => {
    const part = await h.make.part({ standardCost: '2', units: { box: '12' } })
    const posted = await counter.posted({
      kind: 'receipt',
      lines: [
        {
          part: part.number,
          quantity: '2',
          unit: 'box',
          difference: { responsibleParty: 'production', faultyQuantity: '1' }
        }
      ]
    })
    expect(posted.lines).toMatchObject([
      { quantity: '12', unit: 'piece', unitQuantity: '12' },
      { quantity: '12', unit: 'piece', condition: 'nonconforming', ownership: 'consigned' }
    ])
  })

  test('goods received as nonconforming open a report, whose fault still to be found out', async () => {
    const part = await h.make.part({ standardCost: '2' })
    const posted = await counter.posted({
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '3', condition: 'nonconforming' }]
    })
    expect(posted.qualityReports).toHaveLength(1)
  })

  test('a day that cannot be, a part no longer bought and a slip that is not there are told where they stand', async () => {
    const [part, gone] = [
      await h.make.part({ standardCost: '2' }),
      await h.make.part({ standardCost: '2', active: false })
    ]
    const attempt = (body: object) => counter.keeper.post(slips(), body)
    expect(
      await attempt({ kind: 'receipt', occurredOn: '0206-11-20', lines: [{ part: part.number, quantity: '1' }] })
    ).toMatchObject({ status: 422, body: { code: 'DayTooEarly', errors: [{ pointer: '/occurredOn' }] } })
    expect(await attempt({ kind: 'receipt', lines: [{ part: gone.number, quantity: '1' }] })).toMatchObject({
      status: 422,
      body: { code: 'PartInactive' }
    })
    expect(
      await attempt({
        kind: 'return',
        reference: 'NOWHERE-OUT-202611-00001',
        lines: [{ part: part.number, quantity: '1' }]
      })
    ).toMatchObject({ status: 422, body: { code: 'SourceSlipRequired', errors: [{ pointer: '/reference' }] } })
    expect(
      await attempt({ kind: 'issue', lines: [{ part: part.number, quantity: '1', reservation: '999999' }] })
    ).toMatchObject({ status: 422, body: { code: 'ReservationUnknown' } })
  })

  test('faulty goods need a responsible party', async () => {
    const part = await h.make.part({ standardCost: '2' })
    expect(
      await counter.keeper.post(slips(), {
        kind: 'receipt',
        lines: [{ part: part.number, quantity: '1', difference: { faultyQuantity: '1' } }]
      })
    ).toMatchObject({ status: 422, body: { code: 'ResponsiblePartyMissing' } })
  })

  test('the finance supervisor settles a report once, and the semi-monthly summary counts it (R-IN-4)', async () => {
    const own = await openCounter(h)
    const part = await h.make.part({ standardCost: '2' })
    const posted = await own.posted({
      kind: 'receipt',
      lines: [{ part: part.number, quantity: '8', expectedQuantity: '10' }]
    })
    const [report] = posted.qualityReports
    expect(
      await own.keeper.post(`/v1/quality-reports/${report}/settlement`, {
        responsibleParty: 'carrier',
        settlement: 'x'
      })
    ).toMatchObject({ status: 403 })
    const finance = own.signers['finance-supervisor']
    expect(
      await finance.post(`/v1/quality-reports/${report}/settlement`, {
        responsibleParty: 'carrier',
        settlement: 'carrier pays two'
      })
    ).toMatchObject({ status: 200, body: { responsibleParty: 'carrier', settledBy: finance.person.username } })
    expect(
      await finance.post(`/v1/quality-reports/${report}/settlement`, {
        responsibleParty: 'production',
        settlement: 'y'
      })
    ).toMatchObject({ status: 409 })
    const [first, second] = [
      await finance.get('/v1/quality-summary?period=2026-11&half=1'),
      await finance.get('/v1/quality-summary?period=2026-11&half=2')
    ]
    expect(first.body).toMatchObject({ from: '2026-11-01', to: '2026-11-15', reports: 0 })
    expect(second.body).toMatchObject({
      from: '2026-11-16',
      to: '2026-11-30',
      items: [
        {
          warehouse: own.warehouse,
          part: part.number,
          responsibleParty: 'carrier',
          reports: 1,
          expectedQuantity: '10',
          receivedQuantity: '8',
          settled: 1
        }
      ]
    })
  })
})
