import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { etagOf, IfMatch } from '../platform/etag.ts'
import { problems, ref } from '../platform/schemas.ts'
import { addSupersession } from './add-supersession.ts'
import { approveControlledPart } from './approve-controlled-part.ts'
import { authoriseSupplier } from './authorise-supplier.ts'
import {
  AddSupersessionBody,
  ApproveControlledPartBody,
  AuthorisationQuery,
  AuthoriseSupplierBody,
  ControlledApprovalPage,
  ControlledApprovalQuery,
  ControlledApprovalView,
  CreatePartBody,
  CreateSupplierBody,
  EndSupersessionBody,
  PartPage,
  PartParams,
  PartQuery,
  PartView,
  SetPartUnitsBody,
  SuccessorList,
  SupersessionList,
  SupersessionParams,
  SupersessionView,
  SupplierAuthorisationPage,
  SupplierAuthorisationView,
  SupplierPage,
  SupplierParams,
  SupplierQuery,
  SupplierView,
  UpdatePartBody,
  UpdateSupplierBody,
  WithdrawAuthorisationBody
} from './catalogue.schemas.ts'
import { listControlledApprovals } from './controlled-approvals.queries.ts'
import { createPart } from './create-part.ts'
import { createSupplier } from './create-supplier.ts'
import { endSupersession } from './end-supersession.ts'
import { listParts, readPart } from './parts.queries.ts'
import { setPartUnits } from './set-part-units.ts'
import { listSuccessors, listSupersessions } from './supersessions.queries.ts'
import { listSupplierAuthorisations, listSuppliers, readSupplier } from './suppliers.queries.ts'
import { updatePart } from './update-part.ts'
import { updateSupplier } from './update-supplier.ts'
import { withdrawAuthorisation } from './withdraw-authorisation.ts'

const tags = ['catalogue']

/** Parts, suppliers, supersession, controlled parts. Reading is open to everybody who is signed in. */
export const catalogueRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const withETag = <View extends { version: number }>(reply: FastifyReply, view: View): View => {
    reply.header('etag', etagOf(view.version))
    return view
  }

  app.post(
    '/parts',
    {
      schema: {
        operationId: 'createPart',
        tags,
        summary: 'Add a part to the catalogue (新增货品)',
        description: 'By the stock controller or an administrator. The number never changes afterwards.',
        body: CreatePartBody,
        response: { 201: ref(PartView), ...problems }
      }
    },
    async (request, reply) => {
      const part = await createPart(request.ctx, request.body)
      reply.code(201).header('location', `/v1/parts/${encodeURIComponent(part.number)}`)
      return withETag(reply, part)
    }
  )

  app.get(
    '/parts',
    {
      schema: {
        operationId: 'listParts',
        tags,
        summary: 'Search parts by number, name or specification (查询货品)',
        description:
          'Every word of `q` must occur somewhere in number, names or specification, in any case; Chinese words need no spaces.',
        querystring: PartQuery,
        response: { 200: ref(PartPage), ...problems }
      }
    },
    (request) => listParts(request.ctx, request.query)
  )

  app.get(
    '/parts/:number',
    {
      schema: {
        operationId: 'readPart',
        tags,
        summary: 'Read a part (查看货品)',
        params: PartParams,
        response: { 200: ref(PartView), ...problems }
      }
    },
    async (request, reply) => withETag(reply, await readPart(request.ctx, request.params))
  )

  app.patch(
    '/parts/:number',
    {
      schema: {
        operationId: 'updatePart',
        tags,
        summary: 'Change a part (修改货品)',
        description:
          'By the stock controller or an administrator. With If-Match only if nobody changed it meanwhile (412).',
        params: PartParams,
        headers: IfMatch,
        body: UpdatePartBody,
        response: { 200: ref(PartView), ...problems }
      }
    },
    async (request, reply) =>
      withETag(
        reply,
        await updatePart(request.ctx, { ...request.params, ifMatch: request.headers['if-match'], change: request.body })
      )
  )

  app.put(
    '/parts/:number/units',
    {
      schema: {
        operationId: 'setPartUnits',
        tags,
        summary: 'State the further units of a part (设置换算单位)',
        description:
          'A box of 12, issued singly: `{ "unit": "box", "factor": "12" }`. By the stock controller or an administrator.',
        params: PartParams,
        headers: IfMatch,
        body: SetPartUnitsBody,
        response: { 200: ref(PartView), ...problems }
      }
    },
    async (request, reply) =>
      withETag(
        reply,
        await setPartUnits(request.ctx, { ...request.params, ifMatch: request.headers['if-match'], ...request.body })
      )
  )

  app.get(
    '/parts/:number/supersessions',
    {
      schema: {
        operationId: 'listSupersessions',
        tags,
        summary: 'Supersessions of a part, as old and as new (替代关系)',
        params: PartParams,
        response: { 200: ref(SupersessionList), ...problems }
      }
    },
    (request) => listSupersessions(request.ctx, request.params)
  )

  app.get(
    '/parts/:number/successors',
    {
      schema: {
        operationId: 'listSuccessors',
        tags,
        summary: 'What may be taken instead today, nearest first (可替代货品)',
        description: 'Follows chains of supersession; `successors` of it replace `replaced` of the part.',
        params: PartParams,
        response: { 200: ref(SuccessorList), ...problems }
      }
    },
    (request) => listSuccessors(request.ctx, request.params)
  )

  app.post(
    '/parts/:number/supersessions',
    {
      schema: {
        operationId: 'addSupersession',
        tags,
        summary: 'Let a part be replaced by another (登记替代件)',
        description: 'A circle is refused. By the stock controller or an administrator.',
        params: PartParams,
        body: AddSupersessionBody,
        response: { 201: ref(SupersessionView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return addSupersession(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/parts/:number/supersessions/:successor/ending',
    {
      schema: {
        operationId: 'endSupersession',
        tags,
        summary: 'End a supersession (终止替代关系)',
        description: 'By the stock controller or an administrator.',
        params: SupersessionParams,
        body: EndSupersessionBody,
        response: { 200: ref(SupersessionView), ...problems }
      }
    },
    (request) => endSupersession(request.ctx, { ...request.params, ...request.body })
  )

  app.post(
    '/parts/:number/controlled-approvals',
    {
      schema: {
        operationId: 'approveControlledPart',
        tags,
        summary: 'Approve a controlled part for a warehouse (监控件审批)',
        description: 'By the stock controller of that warehouse.',
        params: PartParams,
        body: ApproveControlledPartBody,
        response: { 201: ref(ControlledApprovalView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return approveControlledPart(request.ctx, { part: request.params.number, ...request.body })
    }
  )

  app.get(
    '/controlled-approvals',
    {
      schema: {
        operationId: 'listControlledApprovals',
        tags,
        summary: 'Approvals of controlled parts, newest first (监控件审批记录)',
        querystring: ControlledApprovalQuery,
        response: { 200: ref(ControlledApprovalPage), ...problems }
      }
    },
    (request) => listControlledApprovals(request.ctx, request.query)
  )

  app.post(
    '/suppliers',
    {
      schema: {
        operationId: 'createSupplier',
        tags,
        summary: 'Enter a supplier (新增供应商)',
        description: 'By the purchaser, the stock controller or an administrator.',
        body: CreateSupplierBody,
        response: { 201: ref(SupplierView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return createSupplier(request.ctx, request.body)
    }
  )

  app.get(
    '/suppliers',
    {
      schema: {
        operationId: 'listSuppliers',
        tags,
        summary: 'List suppliers (供应商列表)',
        querystring: SupplierQuery,
        response: { 200: ref(SupplierPage), ...problems }
      }
    },
    (request) => listSuppliers(request.ctx, request.query)
  )

  app.get(
    '/suppliers/:code',
    {
      schema: {
        operationId: 'readSupplier',
        tags,
        summary: 'Read a supplier (查看供应商)',
        params: SupplierParams,
        response: { 200: ref(SupplierView), ...problems }
      }
    },
    (request) => readSupplier(request.ctx, request.params)
  )

  app.patch(
    '/suppliers/:code',
    {
      schema: {
        operationId: 'updateSupplier',
        tags,
        summary: 'Change a supplier (修改供应商)',
        description: 'By the purchaser, the stock controller or an administrator.',
        params: SupplierParams,
        body: UpdateSupplierBody,
        response: { 200: ref(SupplierView), ...problems }
      }
    },
    (request) => updateSupplier(request.ctx, { ...request.params, change: request.body })
  )

  app.get(
    '/suppliers/:code/authorisations',
    {
      schema: {
        operationId: 'listSupplierAuthorisations',
        tags,
        summary: 'Parts a supplier may deliver (供货授权)',
        params: SupplierParams,
        querystring: AuthorisationQuery,
        response: { 200: ref(SupplierAuthorisationPage), ...problems }
      }
    },
    (request) => listSupplierAuthorisations(request.ctx, { ...request.params, ...request.query })
  )

  app.post(
    '/suppliers/:code/authorisations',
    {
      schema: {
        operationId: 'authoriseSupplier',
        tags,
        summary: 'Let a part come from a supplier (授权供货)',
        description:
          'Receipts from a supplier that is not authorised for the part are refused. By the purchaser, the stock controller or an administrator.',
        params: SupplierParams,
        body: AuthoriseSupplierBody,
        response: { 201: ref(SupplierAuthorisationView), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return authoriseSupplier(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/suppliers/:code/authorisations/withdrawal',
    {
      schema: {
        operationId: 'withdrawAuthorisation',
        tags,
        summary: 'Withdraw the authorisation of a supplier for a part (撤销供货授权)',
        description: 'By the purchaser, the stock controller or an administrator.',
        params: SupplierParams,
        body: WithdrawAuthorisationBody,
        response: { 200: ref(SupplierAuthorisationView), ...problems }
      }
    },
    (request) => withdrawAuthorisation(request.ctx, { ...request.params, ...request.body })
  )
}
