/**
 * Where the control socket of a recorder is: under a short random name in a folder that only its user can open, because the path of
 * a socket is limited to about a hundred bytes. On Windows it is a named pipe.
 *
 * The folder is `sampleline` in XDG_RUNTIME_DIR. Where there is none, or it is another user's as after `su`, it is
 * `sampleline-UID` in the system's temporary folder. A folder there that is somebody else's or open to others is refused.
 */
import { messageOf } from "@sampleline/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { RunError } from "./errors.ts"

/** The limit of macOS; Linux takes four more. */
const LONGEST_PATH = 103

const ENDING = ".sock"

/** The file in a journal's folder that tells where its recorder listens. It belongs to the journal's owner, as its lock does. */
export const addressFile = (journal: string): string => path.join(journal, "owner.control")

/** Listens while the scope is open. Gives the socket's path. */
export const listen = Effect.fnUntraced(function*(server: net.Server): Effect.fn.Return<string, RunError, Scope.Scope> {
  const name = randomBytes(8).toString("hex")
  const folder = process.platform === "win32" ? null : yield* attempt(ownFolder)
  if (folder !== null) yield* Effect.forkScoped(removeStale(folder))
  const socket = folder === null ? `\\\\.\\pipe\\sampleline-${name}` : path.join(folder, name + ENDING)
  yield* Effect.acquireRelease(
    Effect.callback<void, RunError>((resume) => {
      const refuse = (error: Error) => resume(Effect.fail(new RunError({ message: error.message })))
      server.once("error", refuse)
      server.listen({ path: socket, exclusive: true }, () => {
        server.off("error", refuse)
        resume(Effect.void)
      })
    }),
    () => Effect.sync(() => server.close())
  )
  if (folder !== null) yield* attempt(() => fs.chmodSync(socket, 0o600))
  return socket
})

export const attempt = <A>(run: () => A): Effect.Effect<A, RunError> =>
  Effect.try({ try: run, catch: (cause) => new RunError({ message: messageOf(cause) }) })

/** A folder in which sockets are safe. Throws if there is none. */
const ownFolder = (): string => {
  const uid = process.getuid!()
  const runtime = process.env["XDG_RUNTIME_DIR"]
  if (runtime !== undefined && path.isAbsolute(runtime) && fits(path.join(runtime, "sampleline"))) {
    if (fs.statSync(runtime, { throwIfNoEntry: false })?.uid === uid) return made(path.join(runtime, "sampleline"), uid)
  }
  const name = `sampleline-${uid}`
  const folder = path.join(os.tmpdir(), name)
  return made(fits(folder) ? folder : path.join("/tmp", name), uid)
}

const fits = (folder: string): boolean =>
  Buffer.byteLength(path.join(folder, `${"x".repeat(16)}${ENDING}`)) <= LONGEST_PATH

/** Makes the folder if it is missing. */
const made = (folder: string, uid: number): string => {
  try {
    fs.mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  }
  const stats = fs.lstatSync(folder)
  if (!stats.isDirectory() || stats.uid !== uid) throw new Error(`${folder} is not a folder of your own; remove it`)
  if ((stats.mode & 0o077) !== 0) throw new Error(`${folder} is open to other users; run \`chmod 700 ${folder}\``)
  return folder
}

/** Removes the sockets of recorders that were killed. Others may do so at the same time. */
const removeStale = Effect.fnUntraced(function*(folder: string) {
  const names = yield* attempt(() => fs.readdirSync(folder).filter((name) => name.endsWith(ENDING)))
  for (const name of names) {
    const socket = path.join(folder, name)
    if (yield* isLeft(socket)) yield* attempt(() => removeSocket(socket))
  }
}, (removing) => Effect.ignore(removing))

/** Whether nobody listens. */
const isLeft = (socket: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const connection = net.connect(socket)
    connection.on("connect", () => connection.destroy())
    connection.on("error", ({ code }: NodeJS.ErrnoException) => resume(Effect.succeed(code === "ECONNREFUSED")))
    connection.on("close", () => resume(Effect.succeed(false)))
    return Effect.sync(() => connection.destroy())
  })

const removeSocket = (socket: string): void => {
  if (fs.lstatSync(socket, { throwIfNoEntry: false })?.isSocket() === true) fs.rmSync(socket, { force: true })
}
