import { Migration } from '@mikro-orm/migrations'

/**
 * What a month end leaves behind: the depreciation of every lot, the stock report of every balance, and the statement. All of it
 * is written once, when the month is closed, and never changed. Partitioned by month like the movements, because it is read by month.
 */
export class Valuation extends Migration {
  override up(): void {
    this.addSql(FROZEN)
    this.addSql(SETTINGS)
    this.addSql(CLOSING_RUNS)
  }
}

const FROZEN = `
-- One row per own lot on hand at the end of the month, charged or not: together they are the net book value of the stock.
create table depreciation_line (
  warehouse_id int not null,
  period date not null,
  part_id int not null,
  lot_id bigint not null,
  condition text not null,
  received_on date not null,
  quantity numeric(15,3) not null,
  unit_cost numeric(18,4) not null,
  cost numeric(18,2) not null,
  months_charged int not null,
  charge numeric(18,2) not null,
  accumulated numeric(18,2) not null,
  constraint depreciation_line_pkey primary key (warehouse_id, period, part_id, lot_id),
  constraint depreciation_line_holds_something check (quantity > 0),
  -- What is accumulated has no such check: while a slip that was written late places its cents on itself, it may be some cents less than nothing.
  constraint depreciation_line_charge_not_negative check (charge >= 0)
) partition by range (period);

-- 进销存月报 with the names of the month: opening + in − out + adjustment = closing, in quantity, cost and accumulated depreciation
-- (where the charge of the month comes to it). Outgoing figures are positive; a reversal stands, negative, where its slip stood.
create table stock_report_line (
  warehouse_id int not null,
  period date not null,
  part_number text not null,
  ownership text not null,
  condition text not null,
  part_id int not null,
  name text not null,
  name_zh text,
  specification text,
  unit text not null,
  opening_quantity numeric(15,3) not null,
  opening_cost numeric(18,2) not null,
  opening_accumulated numeric(18,2) not null,
  in_quantity numeric(15,3) not null,
  in_cost numeric(18,2) not null,
  in_accumulated numeric(18,2) not null,
  out_quantity numeric(15,3) not null,
  out_cost numeric(18,2) not null,
  out_accumulated numeric(18,2) not null,
  adjustment_quantity numeric(15,3) not null,
  adjustment_cost numeric(18,2) not null,
  adjustment_accumulated numeric(18,2) not null,
  charge numeric(18,2) not null,
  closing_quantity numeric(15,3) not null,
  closing_cost numeric(18,2) not null,
  closing_accumulated numeric(18,2) not null,
  constraint stock_report_line_pkey primary key (warehouse_id, period, part_number, ownership, condition),
  constraint stock_report_line_quantity_adds_up check (opening_quantity + in_quantity - out_quantity + adjustment_quantity = closing_quantity),
  constraint stock_report_line_cost_adds_up check (opening_cost + in_cost - out_cost + adjustment_cost = closing_cost),
  constraint stock_report_line_depreciation_adds_up check (opening_accumulated + in_accumulated - out_accumulated + adjustment_accumulated + charge = closing_accumulated)
) partition by range (period);

create function statement_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the statement of a closed month is never changed; correct in the open month' using errcode = 'BC013';
end $$;

-- Built beside the tables and attached, so that statements of other months are read and written meanwhile.
create function ensure_statement_partitions(p_month date) returns boolean language plpgsql as $$
declare
  v_from date := date_trunc('month', p_month::timestamp)::date;
  v_until date := (v_from + interval '1 month')::date;
  v_table text;
  v_name text;
begin
  if to_regclass('stock_report_line_' || to_char(v_from, 'YYYY_MM')) is not null then return false; end if;
  perform pg_advisory_xact_lock(7305005);
  foreach v_table in array array['depreciation_line', 'stock_report_line'] loop
    v_name := v_table || '_' || to_char(v_from, 'YYYY_MM');
    -- Read from the table: to_regclass would answer again what it remembers from before the wait.
    continue when exists (select 1 from pg_class where relname = v_name);
    execute format('create table %I (like %I including defaults including constraints)', v_name, v_table);
    execute format('alter table %I add constraint %I check (period >= %L and period < %L)', v_name, v_name || '_month', v_from, v_until);
    execute format('create trigger statement_is_never_emptied before truncate on %I for each statement execute function statement_refuse_change()', v_name);
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', v_table, v_name, v_from, v_until);
    execute format('alter table %I drop constraint %I', v_name, v_name || '_month');
  end loop;
  return true;
end $$;

create table period_statement (
  warehouse_id int not null references warehouse (id),
  period date not null,
  -- RFC 8785 JSON, word for word as it was sealed; its SHA-256 beside it.
  content text not null,
  sha256 text not null,
  -- The last movement of the month and all months before it.
  position bigint not null,
  cost numeric(18,2) not null,
  charge numeric(18,2) not null,
  accumulated numeric(18,2) not null,
  closed_by int not null references person (id),
  closed_at timestamptz not null,
  constraint period_statement_pkey primary key (warehouse_id, period),
  constraint period_statement_hash_is_sha256 check (sha256 ~ '^[0-9a-f]{64}$')
);

create function stock_period_refuse_emptying() returns trigger language plpgsql as $$
begin
  raise exception 'a closed period is never reopened or changed' using errcode = 'BC011';
end $$;

-- What is on its way, from a warehouse and to it; closing asks every month.
create index slip_transfer_from on slip (warehouse_id, occurred_on) where kind = 'transfer-out' and state = 'posted';
create index slip_transfer_to on slip (counterparty, occurred_on) where kind = 'transfer-out' and state = 'posted';

create trigger stock_period_is_never_emptied before truncate on stock_period for each statement execute function stock_period_refuse_emptying();
create trigger period_statement_is_never_emptied before truncate on period_statement for each statement execute function statement_refuse_change();
create trigger period_statement_is_frozen before update or delete on period_statement for each row execute function statement_refuse_change();
create trigger depreciation_line_is_frozen before update or delete on depreciation_line for each row execute function statement_refuse_change();
create trigger stock_report_line_is_frozen before update or delete on stock_report_line for each row execute function statement_refuse_change();
`

const SETTINGS = `
-- Age in months by R-AGE-1: 1 in the month of receipt. The last bucket has no end.
create table aging_bucket (
  from_months int not null,
  to_months int,
  name text not null,
  name_zh text not null,
  constraint aging_bucket_pkey primary key (from_months),
  constraint aging_bucket_in_order check (from_months >= 0 and to_months >= from_months)
);
insert into aging_bucket values (0, 3, '0-3 months', '0–3个月'), (4, 6, '4-6 months', '4–6个月'), (7, 12, '7-12 months', '7–12个月'), (13, 15, '13-15 months', '13–15个月'), (16, null, 'over 15 months', '15个月以上');

-- Which account a department (a warehouse, or '*' for all without their own) books a role to.
create table journal_account (
  department text not null,
  role text not null,
  account text not null,
  name text not null,
  name_zh text,
  constraint journal_account_pkey primary key (department, role)
);
-- As the Chinese chart of accounts has them; every company sets its own.
insert into journal_account (department, role, account, name, name_zh) values
  ('*', 'inventory', '1405.01', 'Inventory: spare parts', '库存商品—备件存货'),
  ('*', 'accumulated-depreciation', '1471.01', 'Accumulated depreciation of spare parts', '存货跌价准备—备件跌价准备'),
  ('*', 'depreciation-expense', '6601.08', 'Operating expense: depreciation of spare parts', '营业费用—备件折旧'),
  ('*', 'material-cost', '6601.09', 'Operating expense: after-sales material', '营业费用—售后材料成本'),
  ('*', 'cost-of-sales', '6402.01', 'Cost of spare parts sold', '其他业务成本—备件销售成本'),
  ('*', 'goods-received', '2202.02', 'Accounts payable: goods received, not invoiced', '应付账款—暂估应付款'),
  ('*', 'goods-in-transit', '1402.01', 'Goods in transit', '在途物资'),
  ('*', 'scrap-loss', '6711.01', 'Loss on scrapped spare parts', '营业外支出—备件报废损失'),
  ('*', 'count-gain', '6602.21', 'Administrative expense: count gains', '管理费用—存货盘盈'),
  ('*', 'count-loss', '6602.22', 'Administrative expense: count losses', '管理费用—存货盘亏'),
  ('*', 'loaner-goods', '1406.01', 'Goods out on loan: loaner units', '发出商品—替补商品'),
  ('*', 'opening-balance', '1999', 'Opening balances taken over', '期初余额');
`

const CLOSING_RUNS = `
create sequence closing_run_id_seq;
create table closing_run (
  id bigint not null default nextval('closing_run_id_seq'),
  period date not null,
  -- A region, or null for the whole network.
  region_id int references region (id),
  requested_by int not null references person (id),
  requested_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  constraint closing_run_pkey primary key (id)
);
create unique index closing_run_one_at_a_time on closing_run (period, coalesce(region_id, 0)) where finished_at is null;
create table closing_run_warehouse (
  run_id bigint not null references closing_run (id),
  warehouse_id int not null references warehouse (id),
  state text not null default 'pending',
  -- Why it could not be closed: the list of what is missing, or what failed.
  missing jsonb,
  settled_at timestamptz,
  constraint closing_run_warehouse_pkey primary key (run_id, warehouse_id),
  constraint closing_run_warehouse_state_known check (state in ('pending', 'closed', 'already-closed', 'refused', 'failed'))
);
create index closing_run_warehouse_pending on closing_run_warehouse (run_id, warehouse_id) where state = 'pending';
`
