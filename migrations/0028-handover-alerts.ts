import { Migration } from '@mikro-orm/migrations'

/** Who is told of handovers that are not completed, and of goods that nobody is or soon will be keeper of (R-ORG-3, R-ALR-1). */
export class HandoverAlerts extends Migration {
  override up(): void {
    this.addSql(`
insert into alert_policy (kind, ladder, escalate_after_hours, mail) values
  ('handover-open', '[["keeper", "department-head", "finance-supervisor"], ["stock-controller"]]', 72, 'digest'),
  ('keeper-missing', '[["department-head", "operations-supervisor"], ["stock-controller"], ["administrator"]]', 24, 'immediately');
`)
  }
}
