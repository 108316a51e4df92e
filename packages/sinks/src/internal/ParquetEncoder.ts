/**
 * The near side of the thread that encodes and writes a Parquet file: one request at a time, and nothing else waits while it is
 * worked on.
 */
import { Deferred, Effect } from "effect"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import type { WorkerData, WorkerReply, WorkerRequest } from "./parquetWorker.ts"
import type { ColumnValues } from "./RowGroup.ts"

export interface ParquetEncoder {
  /** Has one row group written: all of it or, where the result is a failure, nothing. */
  readonly writeGroup: (values: ReadonlyArray<ColumnValues>) => Deferred.Deferred<void, Error>
  /** Writes the footer; the file is complete then. */
  readonly finish: Effect.Effect<void, Error>
  /** Ends the thread. */
  readonly stop: Effect.Effect<void>
}

/** Starts the thread; the file's descriptor stays its owner's. */
export const startEncoder = (workerData: WorkerData): ParquetEncoder => {
  // The worker's module stands beside this one, in TypeScript or compiled, as this one is.
  const worker = new Worker(new URL(`./parquetWorker${path.extname(import.meta.url)}`, import.meta.url), {
    workerData,
    // None of a row group's values outlives it: with room for all of them they are not moved about.
    resourceLimits: { maxYoungGenerationSizeMb: 64 }
  })
  let asked: Deferred.Deferred<void, Error> | undefined
  let failure: WorkerReply = null
  const reply = (failed: WorkerReply) => {
    const answered = asked
    // Whoever waits for the answer may ask again at once.
    asked = undefined
    const result = failed === null ? Effect.void : Effect.fail(Object.assign(new Error(failed.message), failed))
    if (answered !== undefined) Deferred.doneUnsafe(answered, result)
  }
  const die = (message: string) => {
    failure ??= { message, code: undefined }
    reply(failure)
  }
  worker.on("message", reply)
  worker.on("error", (error) => die(`its encoder has failed: ${String(error)}`))
  worker.on("exit", () => die("its encoder has ended"))

  const ask = (request: WorkerRequest, transfer: ReadonlyArray<ArrayBuffer> = []) => {
    const result = asked = Deferred.makeUnsafe<void, Error>()
    if (failure === null) worker.postMessage(request, [...transfer])
    else reply(failure)
    return result
  }
  return {
    writeGroup: (values) =>
      ask(
        values,
        values.map((column) => (column instanceof Float64Array ? column : column.places).buffer as ArrayBuffer)
      ),
    finish: Effect.suspend(() => Deferred.await(ask("finish"))),
    stop: Effect.promise(() => worker.terminate())
  }
}
