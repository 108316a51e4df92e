import { Deferred, Effect, FileSystem } from "effect"
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process"
import { fileURLToPath } from "node:url"

/** The command's own entry point. */
export const BIN = fileURLToPath(new URL("../bin.js", import.meta.url))

export interface Running {
  readonly process: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Returns when the process has printed the text. Dies if the process ends without it. */
  readonly printed: (text: string) => Effect.Effect<void>
  /** The exit code; null if a signal ended the process. */
  readonly exit: Effect.Effect<number | null>
}

/** A new folder, removed with the scope. */
export const tempFolder = Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())

/** Starts a program. The scope kills it. */
export const start = Effect.fnUntraced(function*(
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly stdio?: StdioOptions; readonly env?: NodeJS.ProcessEnv }
) {
  const exited = yield* Deferred.make<number | null>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const text = { stdout: "", stderr: "" }
  const listeners = new Set<() => void>()
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      text[name] += chunk.toString()
      for (const listener of listeners) listener()
    })
  }
  child.on("close", (code) => {
    Deferred.doneUnsafe(exited, Effect.succeed(code))
    for (const listener of listeners) listener()
  })
  const printed = (wanted: string) =>
    Effect.callback<void>((resume) => {
      const look = () => {
        if (text.stdout.includes(wanted) || text.stderr.includes(wanted)) resume(Effect.void)
        else if (child.exitCode !== null || child.signalCode !== null) {
          resume(
            Effect.die(new Error(`the process ended without printing "${wanted}":\n${text.stdout}\n${text.stderr}`))
          )
        }
      }
      listeners.add(look)
      look()
      return Effect.sync(() => listeners.delete(look))
    })
  return {
    process: child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    printed,
    exit: Deferred.await(exited)
  } satisfies Running
})

/** Starts the command line. */
export const startSampleline = (args: ReadonlyArray<string>, options: Parameters<typeof start>[2]) =>
  start(process.execPath, [BIN, ...args], options)

/** Runs a program to its end. */
export const run = Effect.fnUntraced(
  function*(command: string, args: ReadonlyArray<string>, options: Parameters<typeof start>[2]) {
    const running = yield* start(command, args, options)
    const code = yield* running.exit
    return { code, stdout: running.stdout(), stderr: running.stderr() }
  },
  Effect.scoped
)

/** Runs a program to its end. Dies if its exit code is not 0. */
export const runWell = Effect.fnUntraced(function*(...[command, args, options]: Parameters<typeof run>) {
  const result = yield* run(command, args, options)
  if (result.code === 0) return result
  const { code, stderr, stdout } = result
  return yield* Effect.die(new Error(`exit code ${code}: ${command} ${args.join(" ")}\n${stdout}\n${stderr}`))
})

/** Runs the command line to its end. */
export const sampleline = (args: ReadonlyArray<string>, options: Parameters<typeof start>[2]) =>
  run(process.execPath, [BIN, ...args], options)

/** Starts simulated devices in their own process. */
export const startSimulator = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const running = yield* startSampleline(["simulate", ...args], { cwd })
  yield* running.printed("serving until Ctrl-C")
  const devices = running.stdout().trim().split("\n").map((line) => {
    const [name = "", unit = "", port = ""] = line.split(" ")
    return { name, unit, port, flag: `${name}=${port},unit=${unit}` }
  })
  return { running, devices }
})
