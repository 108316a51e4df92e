/**
 * A recorder that is killed: `node recorder.ts FOLDER`. Four devices at 200 Hz go into all outputs of `outputs.ts`. It writes the number of
 * accepted samples to its standard output, a line each time.
 */
import { PollSource, Recorder } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { Journal } from "../src/index.ts"
import { journalIn, outputs } from "./outputs.ts"

const [folder = "."] = process.argv.slice(2)

const Devices = PollSource.layer({
  devices: ["fuel", "air", "purge", "bypass"],
  poll: (() => {
    let n = 0
    return () => Effect.sync(() => ({ Count: n++, Flow: n / 8, Gas: n % 3 === 0 ? null : "N2" }))
  })()
})

await Recorder.record({ rateHz: 200 }).pipe(
  Journal.pipeToSink({
    path: journalIn(folder),
    flushInterval: "20 millis",
    onAccepted: (samples) => fs.writeSync(1, `${samples}\n`)
  }),
  Effect.provide([outputs(folder, "create"), Devices]),
  Effect.runPromise
)
