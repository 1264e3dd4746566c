import { Migration } from '@mikro-orm/migrations'

/**
 * Whoever reported the loss or damage of a tool takes the report back while nobody has assessed or signed it. Nothing was decided then, and
 * a custody round that waits for a report waits for another one.
 */
export class ToolReports extends Migration {
  override up(): void {
    this.addSql(WITHDRAWN)
    this.addSql(ROUNDS)
  }
}

const WITHDRAWN = `
alter table tool_loss
  drop constraint tool_loss_state_known,
  drop constraint tool_loss_refused_says_why,
  drop constraint tool_loss_decided_on_a_day,
  add constraint tool_loss_state_known check (state in ('reported', 'approved', 'ended', 'refused', 'found', 'withdrawn')),
  add constraint tool_loss_refused_says_why check (state not in ('refused', 'withdrawn') or reason is not null),
  add constraint tool_loss_decided_on_a_day check ((state in ('reported', 'withdrawn')) = (decided_on is null));
`

const ROUNDS = `
create or replace view custody_round_position as
select l.warehouse_id, l.round_id, l.person_id, l.answered_at, l.remark, l.content_hash,
       case when l.answered_at is not null and t.unreported = 0 then 'confirmed'
            when t.held = 0 then 'handed-in'
            when l.answered_at is not null then 'report-awaited'
            else 'awaited' end as state
  from custody_round_line l
  join custody_round r on r.warehouse_id = l.warehouse_id and r.id = l.round_id
 cross join lateral (
   select count(*) filter (where tool.holder_id = f.person_id)::int as held,
          count(*) filter (where f.missing and tool.holder_id is not distinct from f.person_id and not exists (
            select from tool_loss loss where loss.tool_id = f.tool_id and loss.reported_at >= r.opened_at and loss.state not in ('refused', 'withdrawn')))::int as unreported
     from custody_round_tool f
     join tool on tool.id = f.tool_id
    where f.warehouse_id = l.warehouse_id and f.round_id = l.round_id and f.person_id = l.person_id
 ) t;
`
