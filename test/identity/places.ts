import type { Harness } from '../support/harness.ts'

/** Two regions with three warehouses: SH01 and SH02 in EAST, GZ01 in SOUTH. */
export async function makePlaces({ sql }: Pick<Harness, 'sql'>): Promise<void> {
  await sql(`insert into region (code, name) values ('EAST', 'East'), ('SOUTH', 'South')`)
  await sql(`
    insert into warehouse (code, name, kind, region_id)
    select place.code, place.code, 'regional-centre', region.id
      from (values ('SH01', 'EAST'), ('SH02', 'EAST'), ('GZ01', 'SOUTH')) as place (code, region_code)
      join region on region.code = place.region_code`)
}
