// A purchase plan as a file: the same lines as CSV and as a spreadsheet, by supplier, part and warehouse.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendCsv } from '../platform/csv.ts'
import { sendXlsx, sheetOf, wantsXlsx, type XlsxColumn } from '../platform/xlsx.ts'
import { loadPlan, planView } from './purchase-plan.ts'
import { PLAN_LINE_COLUMNS, planLineRows } from './purchase-plans.queries.ts'
import type { PlanLineFilter, PlanLineView, PlanState, PlanView } from './purchase-plans.schemas.ts'

const STATES: Record<PlanState, string> = {
  draft: '草稿 draft',
  'awaiting-signatures': '待签 awaiting signatures',
  approved: '已批准 approved',
  cancelled: '已作废 cancelled'
}

const FORMATS: Partial<Record<keyof PlanLineView, Omit<XlsxColumn, 'heading'>>> = {
  line: { as: 'integer' },
  acceptedQuantity: { as: 'quantity' },
  quantity: { as: 'quantity', total: true },
  unitPrice: { as: 'unit-cost' },
  amount: { as: 'money', total: true },
  expectedOn: { as: 'day' },
  received: { as: 'quantity', total: true },
  outstanding: { as: 'quantity', total: true }
}

type SupplierRow = PlanView['suppliers'][number]

/**
 * Streams the lines of a plan as a spreadsheet if that was asked for, with a sheet by supplier, else as CSV.
 * @throws Refusal 403, 404, 503 `TooManyDownloads`
 */
export async function sendPurchasePlan(
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  { number, ...filter }: PlanLineFilter & { number: string }
): Promise<FastifyReply> {
  const { plan, warehouse } = await loadPlan(request.ctx, number)
  const view = planView(plan, warehouse)
  const rows = planLineRows(request.ctx, { warehouseId: warehouse.id, planId: plan.id }, filter)
  if (!wantsXlsx(request)) return sendCsv(reply, `${number}.csv`, PLAN_LINE_COLUMNS, rows)
  const above = [
    '采购计划 Purchase plan',
    `${number} · ${view.period} · ${STATES[view.state]}`,
    `预算 budget ${view.budget ?? '—'} · 金额 amount ${view.amount}`
  ]
  return sendXlsx(reply, `${number}.xlsx`, [
    sheetOf<PlanLineView>({
      name: '计划明细 Lines',
      title: above,
      rows,
      columns: Object.fromEntries(
        Object.entries(PLAN_LINE_COLUMNS).map(([member, heading]) => [
          member,
          { heading, ...FORMATS[member as keyof PlanLineView] }
        ])
      ) as Partial<Record<keyof PlanLineView, XlsxColumn>>
    }),
    sheetOf<SupplierRow>({
      name: '供应商 Suppliers',
      title: above,
      rows: view.suppliers,
      columns: {
        supplier: 'supplier 供应商',
        lines: { heading: 'lines 行数', as: 'integer', total: true },
        quantity: { heading: 'quantity 数量', as: 'quantity', total: true },
        amount: { heading: 'amount 金额', as: 'money', total: true },
        budget: { heading: 'budget 预算', as: 'money' }
      }
    })
  ])
}
