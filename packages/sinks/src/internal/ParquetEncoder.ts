/**
 * Our side of the thread that encodes and writes a Parquet file. It takes one request at a time and works in the background.
 */
import { messageOf } from "@sampleline/core"
import { Deferred, Effect, Predicate, type Scope } from "effect"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import type { Passed, UnfinishedFile } from "./ParquetFile.ts"
import type { NewGroup, WorkerReply, WorkerRequest } from "./parquetWorker.ts"
import type { ColumnValues } from "./RowGroup.ts"

export interface ParquetEncoder {
  /** Names the file to write, before its first row group. The thread does not close its descriptors. */
  readonly begin: (file: UnfinishedFile) => void
  /** Writes a row group: all of it, or nothing if the result is a failure. */
  readonly writeGroup: (group: NewGroup) => Deferred.Deferred<void, Error>
  /** Writes the footer, and forces the file to disk. After that it is complete. */
  readonly finish: (passed: Passed) => Effect.Effect<void, Error>
}

/** Starts the thread, and waits until it is ready. The scope ends it. */
export const startEncoder: Effect.Effect<ParquetEncoder, Error, Scope.Scope> = Effect.gen(function*() {
  const worker = yield* Effect.acquireRelease(
    Effect.mapError(Effect.try(newWorker), ({ cause }) => notStarted(cause)),
    (worker) => Effect.promise(() => worker.terminate())
  )
  const { encoder, ready } = talkTo(worker)
  yield* Effect.mapError(Deferred.await(ready), notStarted)
  return encoder
})

/** The worker's module is beside this one, and is TypeScript or compiled as this one is. */
const newWorker = () =>
  new Worker(new URL(`./parquetWorker${path.extname(import.meta.url)}`, import.meta.url), {
    // The values of a row group live no longer than it. With room for all of them, the collector does not move them.
    resourceLimits: { maxYoungGenerationSizeMb: 64 }
  })

const notStarted = (cause: unknown): Error => {
  const code = codeOf(cause)
  const hint = code !== undefined && BUNDLED.has(code)
    ? ". If the program is bundled, keep @sampleline/sinks out of the bundle"
    : ""
  return Object.assign(new Error(`its encoder did not start: ${messageOf(cause)}${hint}`, { cause }), { code })
}

/** A bundle holds this module and not the worker's; as CommonJS it has no `import.meta.url` either. */
const BUNDLED = new Set(["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND", "ERR_INVALID_URL", "ERR_INVALID_ARG_TYPE"])

const codeOf = (error: unknown): string | undefined =>
  Predicate.hasProperty(error, "code") ? String(error.code) : undefined

/** The memory of a column, which the thread takes over. */
const arraysOf = (column: ColumnValues): ReadonlyArray<ArrayBufferView> =>
  "places" in column ? [column.places] : [column.numbers, column.nulls]

const talkTo = (worker: Worker) => {
  const ready = Deferred.makeUnsafe<void, Error>()
  let asked: Deferred.Deferred<void, Error> | undefined = ready
  let failure: WorkerReply = null
  const reply = (failed: WorkerReply) => {
    const answered = asked
    // The receiver of the answer may ask again at once.
    asked = undefined
    const result = failed === null ? Effect.void : Effect.fail(Object.assign(new Error(failed.message), failed))
    if (answered !== undefined) Deferred.doneUnsafe(answered, result)
  }
  worker.on("message", reply)
  worker.on("error", (error) => {
    const problem = asked === ready ? "" : "its encoder failed: "
    failure ??= { message: `${problem}${messageOf(error)}`, code: codeOf(error) }
    reply(failure)
  })
  worker.on("exit", () => {
    failure ??= { message: "its encoder ended", code: undefined }
    reply(failure)
  })

  const ask = (request: WorkerRequest, transfer: ReadonlyArray<ArrayBuffer> = []) => {
    const result = asked = Deferred.makeUnsafe<void, Error>()
    if (failure === null) worker.postMessage(request, [...transfer])
    else reply(failure)
    return result
  }
  const encoder: ParquetEncoder = {
    begin: (file) => worker.postMessage({ begin: file } satisfies WorkerRequest),
    writeGroup: (group) =>
      ask(group, group.values.flatMap((column) => arraysOf(column).map((array) => array.buffer as ArrayBuffer))),
    finish: (passed) => Effect.suspend(() => Deferred.await(ask({ finish: passed })))
  }
  return { encoder, ready }
}
