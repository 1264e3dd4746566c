/** What `npm start` shows a person once everything runs. */
export interface Banner {
  /** Where the API listens. */
  url: string
  /** The sample company's accounts, if this store holds it. */
  sample?: { password: string } | undefined
  /** Nobody could appoint anybody: a new store, which only the command line lets in. */
  isWithoutAdministrator?: boolean
}

const CREATE_ADMINISTRATOR = 'npm run bincard -- create-admin <username>'

const ACCOUNTS = ['keeper@hq', 'department-head@hq', 'operations-supervisor@hq', 'finance-supervisor@hq', 'admin']

/** One command to copy: signs in and shows the stock of head office. It needs nothing but a shell, curl and sed. */
export const stockCommand = (url: string, password: string): string =>
  `curl -s ${url}/v1/warehouses/HQ/stock -H "authorization: Bearer $(curl -s ${url}/v1/auth/tokens -H 'content-type: application/json' -d ${quoted(JSON.stringify({ username: 'keeper@hq', password }))} | sed 's/.*"accessToken":"\\([^"]*\\)".*/\\1/')"`

/** One word for the shell, whatever is in it. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** The lines for the terminal. */
export function banner({ url, sample, isWithoutAdministrator = false }: Banner): string {
  const lines = ['bincard is ready.', '', `Documentation    ${url}/docs`]
  if (sample !== undefined) {
    lines.push(
      `Sample accounts  ${ACCOUNTS.join(', ')}, and the same duties at every warehouse`,
      `Their password   ${sample.password}`,
      '',
      'What head office has in stock:',
      '',
      stockCommand(url, sample.password)
    )
  }
  if (isWithoutAdministrator) {
    lines.push(
      '',
      'There is no administrator (系统管理员) yet. In another terminal, with the same DATABASE_URL and JWT_SECRET:',
      '',
      CREATE_ADMINISTRATOR
    )
  }
  return `\n${lines.map((line) => (line === '' ? '' : `  ${line}`)).join('\n')}\n\n`
}
