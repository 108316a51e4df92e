import { assert, describe, it } from "@effect/vitest"
import type { EventRow } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { eventsBeside } from "../events.ts"
import { recordGap } from "../gapSource.ts"
import { samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { textSinks } from "../textSinks.ts"
import { logged, writeTo } from "../writing.ts"

const namesOf = (events: ReadonlyArray<EventRow>) => events.map(({ event }) => event)

describe.each(textSinks)("the events beside a file of $name", ({ file, layer, name }) => {
  const record = (
    path: string,
    { metadata, mode }: { readonly mode: "create" | "overwrite" | "append"; readonly metadata?: { operator: string } }
  ) => recordGap(layer({ path, mode }), metadata)

  it.effect("tell when a run began and ended, and why rows are missing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const { runId } = yield* record(path, { mode: "create", metadata: { operator: "Ada" } })
      const events = eventsBeside(path)
      assert.deepStrictEqual(namesOf(events), ["RunStarted", "DeviceFailing", "DeviceBack", "RunEnded"])
      assert.isTrue(events.every(({ run_id }) => run_id === runId))
      assert.deepInclude(events[0]!.data, { rate_hz: 10, metadata: { operator: "Ada" } })
      assert.deepInclude(events[2], {
        device: "probe",
        reason: "Timeout",
        detail: "no reply",
        since_at: "1970-01-01T00:00:00.500000Z",
        until_at: "1970-01-01T00:00:01.000000Z",
        count: 5
      })
      assert.deepInclude(events[3], { reason: "completed", count: 25 })
    }))

  it.effect("are kept by append, and replaced by overwrite", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* record(path, { mode: "create" })
      yield* record(path, { mode: "append" })
      assert.strictEqual(eventsBeside(path).filter(({ event }) => event === "RunEnded").length, 2)
      yield* record(path, { mode: "overwrite" })
      assert.strictEqual(eventsBeside(path).filter(({ event }) => event === "RunEnded").length, 1)
    }))

  it.effect("get an end for a run that was killed and for what failed in it, with the time of its last row", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* record(path, { mode: "create" })
      const lines = fs.readFileSync(`${path}-events.jsonl`, "utf8").split("\n")
      fs.writeFileSync(`${path}-events.jsonl`, `${lines[0]}\n${lines[1]}\n{"run_id":"cut`)
      yield* record(path, { mode: "append" })
      const events = eventsBeside(path)
      assert.deepStrictEqual(
        namesOf(events).slice(0, 5),
        ["RunStarted", "DeviceFailing", "DeviceLost", "RunEnded", "RunStarted"]
      )
      assert.deepInclude(events[2], {
        device: "probe",
        reason: "Timeout",
        since_at: events[1]!.at,
        until_at: "1970-01-01T00:00:02.900000Z",
        count: null
      })
      assert.deepInclude(events[3], {
        run_id: events[0]!.run_id,
        reason: "unknown",
        count: null,
        until_at: "1970-01-01T00:00:02.900000Z"
      })
    }))

  it.effect("do not replace a file of another program, and the run goes on", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      fs.writeFileSync(`${path}-events.jsonl`, "theirs")
      const lines = yield* logged(record(path, { mode: "create" }))
      const warnings = lines.filter((line) => line.includes("events are not kept"))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], `Warn ${name} ${path}: events are not kept: ${path}-events.jsonl: another program`)
      assert.strictEqual(fs.readFileSync(`${path}-events.jsonl`, "utf8"), "theirs")
    }))

  it.effect("are not there without a run", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samplesFrom(0, 3))
      assert.isFalse(fs.existsSync(`${path}-events.jsonl`))
    }))
})
