import { Migration } from '@mikro-orm/migrations'

/** What carriers owe for goods that left and never arrived: where a settled claim of a transfer is booked (R-AGE-7). */
export class CarrierClaims extends Migration {
  override up(): void {
    this.addSql(`
insert into journal_account (department, role, account, name, name_zh) values
  ('*', 'carrier-claims', '1221.05', 'Other receivables: claims on carriers', '其他应收款—应收承运人赔款')`)
  }
}
