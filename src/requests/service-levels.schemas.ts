import { Type, type Static } from 'typebox'
import { Month, named, nullable, ref } from '../platform/schemas.ts'
import { RegionCode } from '../warehouses/warehouses.schemas.ts'

const count = (description: string) => Type.Integer({ minimum: 0, description })

const ServiceLevel = named(
  'ServiceLevel',
  Type.Object(
    {
      met: count('Issued by the day on which it was due, in this month (按时)'),
      breached: count('Due in this month and not issued by that day, whether or not it was issued later (超时)'),
      open: count('Running or standing at the end of the month, or now, and not breached (未完成)'),
      share: nullable(
        Type.Number({
          description: 'Met, of those that are met or breached; null if none is (按时率)',
          examples: [0.975]
        })
      ),
      meanWorkingDays: nullable(
        Type.Number({
          description: 'Working days until issued, pauses left out, of those issued among them (平均工作日)'
        })
      ),
      pausedWorkingDays: count('Working days for which these waited for their requester (暂停工作日)')
    },
    {
      description:
        'Of clocks that were decided in the month: one line of a request counts once for what was there, once for what was not'
    }
  )
)
export type ServiceLevel = Static<typeof ServiceLevel>

export const RegionServiceLevel = named(
  'RegionServiceLevel',
  Type.Object({
    month: Month,
    region: Type.String({ description: 'Region of the outlets (区域)' }),
    requests: count('Requests made in the month (要货单)'),
    lines: count('Their lines'),
    inStock: ref(ServiceLevel),
    backordered: ref(ServiceLevel),
    backorders: Type.Object(
      {
        registered: count('In the month (缺货登记)'),
        answeredInTime: count('Of them, answered within the days that an answer may take (按时应答)'),
        answeredLate: count('Answered later'),
        unanswered: count('Not answered although it is due'),
        pending: count('Not answered yet, and not due'),
        endedBefore: count('Ended before an answer was due')
      },
      { description: 'Answers to backorders (R-REQ-3)' }
    )
  })
)
export type RegionServiceLevel = Static<typeof RegionServiceLevel>

export const ServiceLevels = named('ServiceLevels', Type.Object({ items: Type.Array(ref(RegionServiceLevel)) }))
export const ServiceLevelQuery = Type.Object({
  month: Type.String({ ...Month, description: 'Which month, the present one as far as it has come' }),
  region: Type.Optional(RegionCode)
})
export type ServiceLevelQuery = Static<typeof ServiceLevelQuery>
