/**
 * The near side of the thread that encodes and writes a Parquet file: requests go out one at a time, and nothing else waits
 * while one is worked on.
 */
import { Effect } from "effect"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import type { WorkerData, WorkerReply, WorkerRequest } from "./parquetWorker.ts"
import type { ColumnValues } from "./RowGroup.ts"

export interface ParquetEncoder {
  /** Writes one row group: all of it or nothing. */
  readonly writeGroup: (values: ReadonlyArray<ColumnValues>) => Effect.Effect<void, Error>
  /** Writes the footer; the file is complete then. */
  readonly finish: Effect.Effect<void, Error>
  /** Ends the thread. */
  readonly stop: Effect.Effect<void>
}

/** Starts the thread; the file's descriptor stays its owner's. */
export const startEncoder = (workerData: WorkerData): ParquetEncoder => {
  // The worker's module stands beside this one, in TypeScript or compiled, as this one is.
  const worker = new Worker(new URL(`./parquetWorker${path.extname(import.meta.url)}`, import.meta.url), { workerData })
  let settle: ((reply: WorkerReply) => void) | undefined
  let failure: WorkerReply = null
  const reply = (result: WorkerReply) => {
    const settled = settle
    settle = undefined
    settled?.(result)
  }
  const die = (message: string) => {
    failure ??= { message, code: undefined }
    reply(failure)
  }
  worker.on("message", reply)
  worker.on("error", (error) => die(`its encoder has failed: ${String(error)}`))
  worker.on("exit", () => die("its encoder has ended"))

  const ask = (request: WorkerRequest, transfer: ReadonlyArray<ArrayBuffer> = []) =>
    Effect.callback<void, Error>((resume) => {
      settle = (failed) =>
        resume(failed === null ? Effect.void : Effect.fail(Object.assign(new Error(failed.message), failed)))
      if (failure === null) worker.postMessage(request, [...transfer])
      else reply(failure)
    })
  return {
    writeGroup: (values) =>
      ask(
        values,
        values.map((column) => (column instanceof Float64Array ? column : column.places).buffer as ArrayBuffer)
      ),
    finish: ask("finish"),
    stop: Effect.promise(() => worker.terminate())
  }
}
