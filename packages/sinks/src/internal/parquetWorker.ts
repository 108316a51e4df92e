/**
 * The thread that encodes and writes a Parquet file. It answers each request with null or with what went wrong. When it
 * has started it sends null once. A file to begin has no answer.
 */
import { parentPort } from "node:worker_threads"
import { ParquetFile, type ParquetSettings } from "./ParquetFile.ts"
import type { ColumnValues } from "./RowGroup.ts"

/** An empty file to write to, and another one that reserves room for the footer. */
export interface NewParquetFile {
  readonly fd: number
  readonly reserve: number
  readonly settings: ParquetSettings
}

/** A file to begin, a row group to write, or the metadata of the footer. */
export type WorkerRequest =
  | { readonly begin: NewParquetFile }
  | ReadonlyArray<ColumnValues>
  | { readonly finish: ParquetSettings["metadata"] }

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

let begun: NewParquetFile
let file: ParquetFile | undefined

parentPort!.on("message", (request: WorkerRequest) => {
  if ("begin" in request) {
    begun = request.begin
    return
  }
  const reply = answer(() => {
    file ??= new ParquetFile(begun.fd, begun.reserve, begun.settings)
    if ("finish" in request) file.finish(request.finish)
    else file.writeGroup(request)
  })
  parentPort!.postMessage(reply)
})

parentPort!.postMessage(null)
