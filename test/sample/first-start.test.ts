import { exec, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

let dataDir: string
let child: ChildProcess | undefined
let output = ''

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'bincard-sample-'))
  await chmod(dataDir, 0o755)
})
afterAll(async () => {
  child?.kill('SIGKILL')
  const pid = Number(
    (await readFile(path.join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]
  )
  if (pid > 0) process.kill(pid, 'SIGQUIT')
  await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

function start(): void {
  output = ''
  const { PATH } = process.env
  child = spawn(process.execPath, [fileURLToPath(new URL('../../src/main.ts', import.meta.url))], {
    env: { PATH, PORT: '0', HOST: '127.0.0.1', DATA_DIR: dataDir, NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  child.stdout?.on('data', (data: Buffer) => (output += data))
}

async function said(pattern: RegExp): Promise<string> {
  for (let attempt = 0; attempt < 1_200; attempt++) {
    const [found, part] = pattern.exec(output) ?? []
    if (found !== undefined) return part ?? found
    if (child?.exitCode !== null) break
    await sleep(50)
  }
  throw new Error(`the process did not say ${pattern}:\n${output}`)
}

async function end(signal: NodeJS.Signals): Promise<void> {
  child?.kill(signal)
  if (child !== undefined) await once(child, 'exit')
}

test(
  'a first start that is killed while it loads the sample is made good by the next, and the command it shows works',
  { timeout: 120_000 },
  async () => {
    start()
    await said(/loading the sample company/)
    await sleep(1_000)
    await end('SIGKILL')
    expect(output).not.toContain('the sample company is there')

    start()
    await said(/the sample company is there/)
    const command = await said(/^ {2}(curl -s .*)$/m)
    const password = await said(/Their password {3}(\S+)/)
    const { stdout } = await promisify(exec)(command, { maxBuffer: 10_000_000 })
    expect(JSON.parse(stdout)).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ part: 'AR-5381', nameZh: '可调轴承圈' })])
    })
    expect((await stat(path.join(dataDir, 'sample-password'))).mode & 0o777).toBe(0o600)
    await end('SIGTERM')

    start()
    await said(/bincard is ready/)
    expect([output.includes('loading the sample company'), await said(/Their password {3}(\S+)/)]).toEqual([
      false,
      password
    ])
    await end('SIGTERM')
  }
)
