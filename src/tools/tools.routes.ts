import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IfMatch, tagged } from '../platform/etag.ts'
import { problems, ref, WarehouseCode } from '../platform/schemas.ts'
import { handOverTools } from './hand-over-tools.ts'
import { issueTools } from './issue-tools.ts'
import { correctCalibration } from './correct-calibration.ts'
import { dissolveToolKit, setToolKit } from './kits.ts'
import { recordCalibration } from './record-calibration.ts'
import { registerTools } from './register-tools.ts'
import { returnAll } from './return-all.ts'
import { returnTools } from './return-tools.ts'
import { signToolDocument } from './sign-tool-document.ts'
import {
  CalibrationParams,
  CorrectCalibrationBody,
  HandOverToolsBody,
  IssueToolsBody,
  KitParams,
  KitView,
  RecordCalibrationBody,
  RegisteredTools,
  RegisterToolsBody,
  ReturnAllBody,
  ReturnedAll,
  ReturnToolsBody,
  SetKitBody,
  SignToolDocumentBody,
  TechnicianParams,
  ToolDocumentParams,
  ToolDocumentView,
  ToolSerialParams,
  ToolView,
  TransferToolsBody,
  UpdateToolBody,
  WithdrawToolDocumentBody
} from './tools.schemas.ts'
import { transferTools } from './transfer-tools.ts'
import { updateTool } from './update-tool.ts'
import { cancelToolDocument, refuseToolDocument } from './withdraw-tool-document.ts'

const tags = ['tools']
const OfWarehouse = Type.Object({ warehouse: WarehouseCode })
const drawnUp = { 201: ref(ToolDocumentView), ...problems }
const changed = { 200: ref(ToolDocumentView), ...problems }

/** What changes the register of tools and moves them; what reads it is in `tools-reads.routes.ts`. */
export const toolRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/warehouses/:warehouse/tools',
    {
      schema: {
        operationId: 'registerTools',
        tags,
        summary: 'Register tools (工具登记)',
        description:
          'Duty: keeper or stock-controller. They are on the shelf then. Serial numbers are unique in the company, whatever the case of their letters. From the threshold of the policy that held when it was bought on, a tool is a fixed asset.',
        params: OfWarehouse,
        body: ref(RegisterToolsBody),
        response: { 201: ref(RegisteredTools), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return registerTools(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.patch(
    '/tools/:serial',
    {
      schema: {
        operationId: 'updateTool',
        tags,
        summary: 'Change what is written of a tool (工具资料)',
        description:
          'Duty: keeper or stock-controller of the warehouse it belongs to. Names, model, calibration, remark; serial number, value and day of purchase until it first leaves the shelf. A tool that is given an interval of calibration, and had no due day, is due by it.',
        params: ToolSerialParams,
        headers: IfMatch,
        body: ref(UpdateToolBody),
        response: { 200: ref(ToolView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await updateTool(request.ctx, {
          ...request.params,
          change: request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/tools/:serial/calibrations',
    {
      schema: {
        operationId: 'recordCalibration',
        tags,
        summary: 'Record a calibration (登记检定)',
        description:
          'Duty: keeper or stock-controller of the warehouse it belongs to. With its certificate; due again on the day that is given, else the interval of the tool later.',
        params: ToolSerialParams,
        body: ref(RecordCalibrationBody),
        response: { 201: ref(ToolView), ...problems }
      }
    },
    async (request, reply) => {
      const tool = await recordCalibration(request.ctx, { ...request.params, ...request.body })
      reply.code(201)
      return tagged(reply, tool)
    }
  )

  app.post(
    '/tools/:serial/calibrations/:calibratedOn/correction',
    {
      schema: {
        operationId: 'correctCalibration',
        tags,
        summary: 'Correct a calibration that was entered wrongly (更正检定记录)',
        description:
          'Duty: keeper or stock-controller of the warehouse it belongs to. Day, certificate, next day or remark, with a reason; what is left away stays. The history keeps both entries, and the tool is due by what is right.',
        params: CalibrationParams,
        headers: IfMatch,
        body: ref(CorrectCalibrationBody),
        response: { 200: ref(ToolView), ...problems }
      }
    },
    async (request, reply) => {
      const { serial, calibratedOn: recordedOn } = request.params
      const ifMatch = request.headers['if-match']
      return tagged(reply, await correctCalibration(request.ctx, { serial, recordedOn, change: request.body, ifMatch }))
    }
  )

  app.post(
    '/warehouses/:warehouse/tool-issues',
    {
      schema: {
        operationId: 'issueTools',
        tags,
        summary: 'Issue tools to a technician (工具领用)',
        description:
          'Duty: keeper, who gives and signs by drawing it up. It takes effect when the technician signs in person, who then has the tools in custody; until then it holds them. Tools by number, or a kit.',
        params: OfWarehouse,
        body: ref(IssueToolsBody),
        response: drawnUp
      }
    },
    async (request, reply) => {
      const document = await issueTools(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/tool-documents/${document.number}`)
      return tagged(reply, document)
    }
  )

  app.post(
    '/warehouses/:warehouse/tool-returns',
    {
      schema: {
        operationId: 'returnTools',
        tags,
        summary: 'Return tools (工具归还)',
        description:
          'Duty: keeper, or the technician for their own. It takes effect when a keeper signs who has the tools in hand. Only in the warehouse whose register they stand in.',
        params: OfWarehouse,
        body: ref(ReturnToolsBody),
        response: drawnUp
      }
    },
    async (request, reply) => {
      const document = await returnTools(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/tool-documents/${document.number}`)
      return tagged(reply, document)
    }
  )

  app.post(
    '/warehouses/:warehouse/tool-hand-overs',
    {
      schema: {
        operationId: 'handOverTools',
        tags,
        summary: 'Hand tools over between technicians (工具交接)',
        description:
          'Duty: keeper, or the technician who gives. Both technicians sign in person; who gives and draws it up has signed. It takes effect with the second signature.',
        params: OfWarehouse,
        body: ref(HandOverToolsBody),
        response: drawnUp
      }
    },
    async (request, reply) => {
      const document = await handOverTools(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/tool-documents/${document.number}`)
      return tagged(reply, document)
    }
  )

  app.post(
    '/warehouses/:warehouse/tool-transfers',
    {
      schema: {
        operationId: 'transferTools',
        tags,
        summary: 'Transfer tools to another warehouse (工具调拨)',
        description:
          'Duty: keeper, who gives and signs by drawing it up. From the shelf only. The owner changes when a keeper of the other warehouse signs.',
        params: OfWarehouse,
        body: ref(TransferToolsBody),
        response: drawnUp
      }
    },
    async (request, reply) => {
      const document = await transferTools(request.ctx, { ...request.params, ...request.body })
      reply.code(201).header('location', `/v1/tool-documents/${document.number}`)
      return tagged(reply, document)
    }
  )

  app.post(
    '/technicians/:username/return-all',
    {
      schema: {
        operationId: 'returnAllTools',
        tags,
        summary: 'Return everything (全部归还)',
        description:
          'Duty: keeper for what stands in the registers they keep, or the technician for all of their own. One return for each warehouse whose register the tools stand in, signed by a keeper of it. What is reported lost or damaged, or stands on another open document, is left out and named.',
        params: TechnicianParams,
        body: ref(ReturnAllBody),
        response: { 201: ref(ReturnedAll), ...problems }
      }
    },
    async (request, reply) => {
      reply.code(201)
      return returnAll(request.ctx, { ...request.params, ...request.body })
    }
  )

  app.post(
    '/tool-documents/:number/signature',
    {
      schema: {
        operationId: 'signToolDocument',
        tags,
        summary: 'Sign a document about tools (签字)',
        description:
          'Issue: the technician who takes. Hand-over: both technicians. Return: a keeper of the warehouse. Transfer: a keeper of the warehouse that takes. In person; an API key never signs, and nobody signs for somebody else’s custody.',
        params: ToolDocumentParams,
        headers: IfMatch,
        body: ref(SignToolDocumentBody),
        response: changed
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await signToolDocument(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/tool-documents/:number/refusal',
    {
      schema: {
        operationId: 'refuseToolDocument',
        tags,
        summary: 'Refuse to sign (拒签)',
        description: 'Whoever would sign next, with the reason. The tools stay where they are, and are free again.',
        params: ToolDocumentParams,
        headers: IfMatch,
        body: ref(WithdrawToolDocumentBody),
        response: changed
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await refuseToolDocument(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.post(
    '/tool-documents/:number/cancellation',
    {
      schema: {
        operationId: 'cancelToolDocument',
        tags,
        summary: 'Cancel a document about tools (作废)',
        description:
          'Whoever drew it up, or a keeper of the warehouse that owns the tools; while it awaits signatures.',
        params: ToolDocumentParams,
        headers: IfMatch,
        body: ref(WithdrawToolDocumentBody),
        response: changed
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await cancelToolDocument(request.ctx, {
          ...request.params,
          ...request.body,
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.put(
    '/warehouses/:warehouse/tool-kits/:code',
    {
      schema: {
        operationId: 'setToolKit',
        tags,
        summary: 'Say what a kit consists of (设置工具箱)',
        description:
          'Duty: keeper or stock-controller. Replaces what was said before; while it is out, or a document about it awaits signatures, it stays as it is. A tool is in one kit at most.',
        params: KitParams,
        headers: IfMatch,
        body: ref(SetKitBody),
        response: { 200: ref(KitView), ...problems }
      }
    },
    async (request, reply) =>
      tagged(
        reply,
        await setToolKit(request.ctx, { ...request.params, ...request.body, ifMatch: request.headers['if-match'] })
      )
  )

  app.delete(
    '/warehouses/:warehouse/tool-kits/:code',
    {
      schema: {
        operationId: 'dissolveToolKit',
        tags,
        summary: 'Dissolve a kit (撤销工具箱)',
        description: 'Duty: keeper or stock-controller. Its tools stay, and papers that name it. Not while it is out.',
        params: KitParams,
        response: { 204: Type.Null({ description: 'Dissolved' }), ...problems }
      }
    },
    async (request, reply) => {
      await dissolveToolKit(request.ctx, request.params)
      return reply.code(204).send(null)
    }
  )
}
