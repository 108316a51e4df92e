/**
 * Our side of the thread that encodes and writes a Parquet file. It takes one request at a time and works in the background.
 */
import { messageOf } from "@sampleline/core"
import { Deferred, Effect } from "effect"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import type { WorkerData, WorkerReply, WorkerRequest } from "./parquetWorker.ts"
import type { ColumnValues } from "./RowGroup.ts"

export interface ParquetEncoder {
  /** Writes a row group: all of it, or nothing if the result is a failure. */
  readonly writeGroup: (values: ReadonlyArray<ColumnValues>) => Deferred.Deferred<void, Error>
  /** Writes the footer. After that the file is complete. */
  readonly finish: Effect.Effect<void, Error>
  /** Ends the thread. */
  readonly stop: Effect.Effect<void>
}

/** Starts the thread. It does not close the file's descriptor. */
export const startEncoder = (workerData: WorkerData): ParquetEncoder => {
  // The worker's module is beside this one, and is TypeScript or compiled as this one is.
  const worker = new Worker(new URL(`./parquetWorker${path.extname(import.meta.url)}`, import.meta.url), {
    workerData,
    // The values of a row group live no longer than it. With room for all of them, the collector does not move them.
    resourceLimits: { maxYoungGenerationSizeMb: 64 }
  })
  let asked: Deferred.Deferred<void, Error> | undefined
  let failure: WorkerReply = null
  const reply = (failed: WorkerReply) => {
    const answered = asked
    // The receiver of the answer may ask again at once.
    asked = undefined
    const result = failed === null ? Effect.void : Effect.fail(Object.assign(new Error(failed.message), failed))
    if (answered !== undefined) Deferred.doneUnsafe(answered, result)
  }
  const die = (message: string) => {
    failure ??= { message, code: undefined }
    reply(failure)
  }
  worker.on("message", reply)
  worker.on("error", (error) => die(`its encoder failed: ${messageOf(error)}`))
  worker.on("exit", () => die("its encoder ended"))

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
