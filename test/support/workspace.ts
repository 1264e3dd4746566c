import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

// The client's workspace has tools of its own, among them another TypeScript than the service.

export const ROOT = path.resolve(import.meta.dirname, '../..')
export const OPENAPI = path.join(ROOT, 'openapi')

/** Runs a program of the client's workspace there; what it says if it fails. */
export async function runInWorkspace(program: string, args: string[]): Promise<string> {
  const name = process.platform === 'win32' ? `${program}.cmd` : program
  const file = [OPENAPI, ROOT]
    .map((home) => path.join(home, 'node_modules', '.bin', name))
    .find((candidate) => existsSync(candidate))
  if (file === undefined) throw new Error(`${program} is not installed in the workspace of the client`)
  return promisify(execFile)(file, args, { cwd: OPENAPI }).then(
    () => '',
    (error: { stdout: string; stderr: string; message: string }) => error.stdout + error.stderr || error.message
  )
}
