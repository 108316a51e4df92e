/**
 * Takes the disk of a text file away while a journal writes to it, and brings it back. Run in a user namespace of its own:
 * `unshare -rm node diskAway.ts FOLDER/csv`, or `FOLDER/jsonl`. The last line of its output says what was found.
 */
import { Effect, Logger } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { failingCall } from "./failingCall.ts"
import { samplesFrom } from "./samples.ts"
import { flowsIn } from "./textReaders.ts"
import { nonEmpty } from "./writing.ts"

const shell = (command: string, ...values: ReadonlyArray<string>) =>
  execFileSync("sh", ["-c", command, "sh", ...values])

const { base, dir } = nodePath.parse(process.argv.at(-1)!)
const [device, folder] = [nodePath.join(dir, "device"), nodePath.join(dir, "disk")]
for (const path of [device, folder]) fs.mkdirSync(path)
shell("mount -t tmpfs tmpfs $1", device)
fs.mkdirSync(nodePath.join(device, "content"))

const mount = () => shell("mount --bind $1 $2", nodePath.join(device, "content"), folder)
const unmount = () => shell("umount -l $1", folder)

const path = nodePath.join(folder, `run.${base}`)
const keep = () => Effect.void
const batch = (start: number) => nonEmpty(samplesFrom(start, 5))

const program = Effect.gen(function*() {
  mount()
  const { resumable } = yield* base === "csv" ? CsvSink.make({ path }) : JsonlSink.make({ path })
  const to = resumable!
  yield* to.open({ journal: "journal-1", place: null, first: batch(0) })
  const place = yield* to.writeAt(batch(0), 5, keep)
  unmount()
  // A look at the name is no reason to begin a new file.
  yield* Effect.sleep("1200 millis")
  yield* Effect.scoped(Effect.andThen(failingCall("writeSync", "EIO"), Effect.flip(to.writeAt(batch(5), 10, keep))))
  const error = yield* Effect.flip(to.open({ journal: "journal-1", place, first: null }))
  const whileAway = ["reason" in error ? error.reason : error._tag, fs.readdirSync(folder)]
  mount()
  yield* to.open({ journal: "journal-1", place, first: null })
  yield* to.writeAt(batch(5), 10, keep)
  return { whileAway, rows: flowsIn(path) }
})

Effect.runPromise(Effect.provide(Effect.scoped(program), Logger.layer([]))).then(
  (found) => process.stdout.write(`\n${JSON.stringify(found)}`),
  (error: unknown) => process.stdout.write(`\n${JSON.stringify(String(error))}`)
)
