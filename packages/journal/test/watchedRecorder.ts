/**
 * A process of `outageRecorder.ts`, from outside.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { copyOf, type Job, type State } from "./outageRecorder.ts"
import type { Recording, Target } from "./outages.ts"

export interface WatchedRecorder extends Recording {
  readonly job: Job
  readonly environment: Target["environment"]
  readonly state: () => State
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Gives what it wrote to its standard error. */
  readonly ended: Effect.Effect<string>
}

const RECORDER = fileURLToPath(new URL("outageRecorder.ts", import.meta.url))

/** Mounts a small disk at a folder, and becomes a program that alone sees it. */
const ON_DISK = "mount -t tmpfs -o size=64m tmpfs \"$1\"; shift; exec \"$@\""

/** Starts a recorder, which the scope ends. */
export const startRecorder = (job: Job, environment: Target["environment"]) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { disk, folder } = job
      const recorder = [process.execPath, RECORDER, JSON.stringify(job)]
      const command = disk === null ? recorder : ["unshare", "-rm", "sh", "-c", ON_DISK, "sh", disk, ...recorder]
      const child = spawn(command[0]!, command.slice(1), {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...environment }
      })
      let state: State = { accepted: 0, behind: 0, residentMiB: 0 }
      let text = ""
      let errors = ""
      child.stdout.on("data", (data) => {
        const lines = `${text}${data}`.split("\n")
        text = lines.pop()!
        if (lines.length > 0) state = JSON.parse(lines.at(-1)!)
      })
      child.stderr.on("data", (data) => errors += data)
      const closed = new Promise<string>((resolve) => child.on("close", () => resolve(errors)))
      return {
        job,
        environment,
        folder,
        seen: (file) => disk === null ? file : `/proc/${child.pid}/root${file}`,
        state: () => state,
        signal: (signal) => Effect.sync(() => void child.kill(signal)),
        ended: Effect.promise(() => closed)
      } satisfies WatchedRecorder
    }),
    ({ ended, signal }) => Effect.andThen(signal("SIGKILL"), ended)
  )

/** Waits for the end of a recorder, and brings the files on its disk to where others see them. */
export const broughtBack = ({ ended, job: { disk } }: WatchedRecorder) =>
  Effect.map(ended, (errors) => {
    if (disk !== null) {
      fs.rmSync(disk, { recursive: true })
      fs.renameSync(copyOf(disk), disk)
    }
    return errors
  })
