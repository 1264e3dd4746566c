import { Migration } from '@mikro-orm/migrations'

/**
 * Who is told of handovers that are not completed or wait for a signature, and of goods that nobody is or soon will be keeper of (R-ORG-3), and
 * alerts that name people: whoever is to sign a handover may hold no duty where it is (R-ALR-1).
 */
export class HandoverAlerts extends Migration {
  override up(): void {
    this.addSql(NAMED)
    this.addSql(SETTINGS)
  }
}

const NAMED = `
-- Who is told besides the duties, because the cause names them: they see the alert whether or not they hold a duty in the warehouse.
alter table alert add column people int[] not null default '{}';
create index alert_by_people on alert using gin (people) where people <> '{}';
`

const SETTINGS = `
insert into alert_policy (kind, ladder, escalate_after_hours, mail) values
  ('handover-open', '[["keeper", "department-head", "finance-supervisor"], ["stock-controller"]]', 72, 'digest'),
  ('handover-signer', '[["department-head"], ["stock-controller"]]', 72, 'immediately'),
  ('keeper-missing', '[["department-head", "operations-supervisor"], ["stock-controller"], ["administrator"]]', 24, 'immediately');
`
