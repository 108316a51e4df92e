/**
 * The thread that encodes and writes a Parquet file. It answers each request with null or with what went wrong. When it
 * has started it sends null once. A file to begin has no answer.
 */
import { parentPort } from "node:worker_threads"
import { ParquetFile, type Passed, type UnfinishedFile } from "./ParquetFile.ts"
import type { ColumnValues } from "./RowGroup.ts"

/** A row group, with what has passed since the one before it. */
export interface NewGroup extends Passed {
  readonly values: ReadonlyArray<ColumnValues>
}

/** A file to begin or to go on with, a row group to write, or what has passed since the last one, for the footer. */
export type WorkerRequest = { readonly begin: UnfinishedFile } | NewGroup | { readonly finish: Passed }

export type WorkerReply = { readonly message: string; readonly code: string | undefined } | null

const answer = (run: () => void): WorkerReply => {
  try {
    run()
    return null
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined
    return { message: error instanceof Error ? error.message : String(error), code }
  }
}

let begun: UnfinishedFile
let file: ParquetFile | undefined

parentPort!.on("message", (request: WorkerRequest) => {
  if ("begin" in request) {
    begun = request.begin
    file = undefined
    return
  }
  const reply = answer(() => {
    file ??= new ParquetFile(begun)
    if ("finish" in request) file.finish(request.finish)
    else file.writeGroup(request.values, request)
  })
  parentPort!.postMessage(reply)
})

parentPort!.postMessage(null)
