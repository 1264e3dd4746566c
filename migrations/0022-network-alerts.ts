import { Migration } from '@mikro-orm/migrations'

/** Who is told of what outlets, transfers, deposits, old parts and recalls want, and to whom else a webhook tells what happened. */
export class NetworkAlerts extends Migration {
  override up(): void {
    this.addSql(`
insert into alert_policy (kind, ladder, escalate_after_hours, mail) values
  ('request-clock-soon', '[["keeper"]]', null, 'digest'),
  ('request-clock', '[["keeper", "operations-supervisor"], ["stock-controller"]]', 24, 'immediately'),
  ('backorder-answer-soon', '[["keeper", "operations-supervisor"]]', null, 'digest'),
  ('backorder-answer-due', '[["keeper", "operations-supervisor"], ["stock-controller"]]', 24, 'immediately'),
  ('reservation-expiring', '[["outlet-clerk", "keeper"]]', null, 'digest'),
  ('transfer-in-transit', '[["keeper", "operations-supervisor"], ["stock-controller"]]', 48, 'digest'),
  ('deposit-low', '[["outlet-clerk", "finance-supervisor"], ["department-head"], ["hq-finance"]]', 72, 'digest'),
  ('old-part-outstanding', '[["outlet-clerk", "keeper"], ["department-head"], ["stock-controller"]]', 168, 'digest'),
  ('recall', '[["keeper", "outlet-clerk", "department-head"], ["operations-supervisor"], ["stock-controller"]]', 24, 'immediately');

-- What happened in one warehouse and concerns others, too: the receiver of a transfer, the centre that an outlet requests from.
alter table webhook_message add column also_warehouse_ids int[] not null default '{}';
`)
  }
}
