import type { MigrationObject } from '@mikro-orm/core'
import { Platform } from './0001-platform.ts'
import { Identity } from './0002-identity.ts'
import { CatalogueAndWarehouses } from './0003-catalogue-and-warehouses.ts'
import { Ledger } from './0004-ledger.ts'
import { Slips } from './0005-slips.ts'
import { NamedLots } from './0006-named-lots.ts'
import { Counts } from './0007-counts.ts'
import { Valuation } from './0008-valuation.ts'
import { OutboxAndJobs } from './0009-outbox-and-jobs.ts'
import { Reorder } from './0010-reorder.ts'
import { ProposalsAndPlans } from './0011-proposals-and-plans.ts'
import { Alerts } from './0012-alerts.ts'
import { Webhooks } from './0013-webhooks.ts'
import { Mail } from './0014-mail.ts'
import { BlocksAndTransit } from './0015-blocks-and-transit.ts'
import { Transfers } from './0016-transfers.ts'
import { Deposits } from './0017-deposits.ts'
import { Requests } from './0018-requests.ts'
import { Backorders } from './0019-backorders.ts'
import { OldParts } from './0020-old-parts.ts'
import { Recalls } from './0021-recalls.ts'

/** Every migration in the order it is applied. Append only. */
export const migrations: MigrationObject[] = [
  { name: '0001-platform', class: Platform },
  { name: '0002-identity', class: Identity },
  { name: '0003-catalogue-and-warehouses', class: CatalogueAndWarehouses },
  { name: '0004-ledger', class: Ledger },
  { name: '0005-slips', class: Slips },
  { name: '0006-named-lots', class: NamedLots },
  { name: '0007-counts', class: Counts },
  { name: '0008-valuation', class: Valuation },
  { name: '0009-outbox-and-jobs', class: OutboxAndJobs },
  { name: '0010-reorder', class: Reorder },
  { name: '0011-proposals-and-plans', class: ProposalsAndPlans },
  { name: '0012-alerts', class: Alerts },
  { name: '0013-webhooks', class: Webhooks },
  { name: '0014-mail', class: Mail },
  { name: '0015-blocks-and-transit', class: BlocksAndTransit },
  { name: '0016-transfers', class: Transfers },
  { name: '0017-deposits', class: Deposits },
  { name: '0018-requests', class: Requests },
  { name: '0019-backorders', class: Backorders },
  { name: '0020-old-parts', class: OldParts },
  { name: '0021-recalls', class: Recalls }
]
