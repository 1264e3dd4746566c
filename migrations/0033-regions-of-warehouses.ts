import { Migration } from '@mikro-orm/migrations'

/** In which region a warehouse was when: a keeper by a region answers for it while it was there, also after it was moved (R-ORG-1, R-ORG-3). */
export class RegionsOfWarehouses extends Migration {
  override up(): void {
    this.addSql(`
create table warehouse_in_region (
  warehouse_id int not null references warehouse (id),
  id bigint generated always as identity,
  region_id int not null references region (id),
  -- The day of a move belongs to both. The first region has no beginning, the present one no end.
  from_on date,
  to_on date,
  constraint warehouse_in_region_pkey primary key (warehouse_id, id),
  constraint warehouse_in_region_in_order check (from_on <= to_on)
);
create unique index warehouse_in_region_present on warehouse_in_region (warehouse_id) where to_on is null;
insert into warehouse_in_region (warehouse_id, region_id) select id, region_id from warehouse;

create function warehouse_notes_region() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    update warehouse_in_region set to_on = greatest(from_on, business_today()) where warehouse_id = new.id and to_on is null;
  end if;
  insert into warehouse_in_region (warehouse_id, region_id, from_on)
  select new.id, new.region_id, max(to_on) from warehouse_in_region where warehouse_id = new.id;
  return null;
end $$;
create trigger warehouse_notes_first_region after insert on warehouse for each row execute function warehouse_notes_region();
create trigger warehouse_notes_next_region after update of region_id on warehouse
  for each row when (new.region_id <> old.region_id) execute function warehouse_notes_region();
`)
  }
}
