import type { Config } from './platform/config.ts'

// Why a process did not start, in words that name the variable to change. The URLs themselves hold passwords and are not said.

const codeOf = (error: unknown): string => {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return (error as NodeJS.ErrnoException | undefined)?.code ?? ''
}
const messageOf = (error: unknown): string =>
  (error as Error).message || (error instanceof AggregateError ? messageOf(error.errors[0]) : codeOf(error))

/** Awaits `work`; its failure is told in words. */
export async function orSay<Result>(work: Promise<Result>, words: (cause: unknown) => string): Promise<Result> {
  try {
    return await work
  } catch (cause) {
    throw new Error(words(cause), { cause })
  }
}

/** Of the folder that DATA_DIR names, and the embedded database in it. */
export function dataFolderFault(folder: string, cause: unknown): string {
  switch (codeOf(cause)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `the data folder ${folder} may not be written by this account; choose another with DATA_DIR (${messageOf(cause)})`
    case 'ENOTDIR':
    case 'EEXIST':
      return `the data folder ${folder} is not a folder, or lies below a file; choose another with DATA_DIR (${messageOf(cause)})`
    case 'ENOSPC':
      return `there is no space left for the data folder ${folder}; make some, or choose another with DATA_DIR`
  }
  return messageOf(cause)
}

/** Of the database that DATABASE_URL names. */
export function databaseFault(databaseUrl: string, cause: unknown): string {
  const { host, hostname, pathname, username } = addressOf(databaseUrl)
  const name = decodeURIComponent(pathname.slice(1)) || username
  switch (codeOf(cause)) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host ${hostname} in DATABASE_URL is not known here; check its name`
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return `no PostgreSQL answers at ${host} of DATABASE_URL; is it running there, and reachable? (${messageOf(cause)})`
    case '3D000':
      return `the database ${name} of DATABASE_URL does not exist; create it, e.g. createdb ${name}, or name another`
    case '28P01':
    case '28000':
      return `PostgreSQL does not accept user and password of DATABASE_URL: ${messageOf(cause)}`
    case '42501':
      return `the user of DATABASE_URL may not do what is needed: ${messageOf(cause)}; make it the owner of the database`
    case '53300':
      return `PostgreSQL at ${host} of DATABASE_URL has no connection left; lower DATABASE_POOL_SIZE or raise max_connections there`
  }
  return /timeout/.test(messageOf(cause))
    ? `PostgreSQL at ${host} of DATABASE_URL does not answer in time; is it reachable? (${messageOf(cause)})`
    : `the database of DATABASE_URL is not usable: ${messageOf(cause)}`
}

/** Of the queue, in Redis or in PostgreSQL. */
export function queueFault(redisUrl: string | undefined, cause: unknown): string {
  if (redisUrl === undefined) return `the queue in PostgreSQL does not answer: ${messageOf(cause)}`
  const { host, hostname } = addressOf(redisUrl)
  const words = `the queue at REDIS_URL does not answer`
  switch (codeOf(cause)) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${words}: the host ${hostname} is not known here; check its name`
    case 'ECONNREFUSED':
      return `${words}: nothing listens at ${host}; start Redis there, or leave REDIS_URL away to keep the queue in PostgreSQL`
  }
  return `${words}: ${messageOf(cause)}`
}

/** Of the address the API listens on. */
export function listenFault({ HOST, PORT }: Pick<Config, 'HOST' | 'PORT'>, cause: unknown): string {
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return `port ${PORT} on ${HOST} is taken; stop what listens there, or choose another port: PORT=${PORT < 65_535 ? PORT + 1 : PORT - 1}`
    case 'EACCES':
      return `port ${PORT} on ${HOST} may not be opened by this account; set PORT above 1023`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST is ${HOST}, a name that is not known here; set it to an address of this machine, or 0.0.0.0 for all`
    case 'EADDRNOTAVAIL':
      return `HOST is ${HOST}, which is no address of this machine; set it to one, or 0.0.0.0 for all`
  }
  return `the API cannot listen on HOST ${HOST}, PORT ${PORT}: ${messageOf(cause)}`
}

function addressOf(text: string): Pick<URL, 'host' | 'hostname' | 'pathname' | 'username'> {
  return URL.parse(text) ?? { host: 'the host', hostname: 'the host', pathname: '', username: '' }
}
