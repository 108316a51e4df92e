/**
 * The thread that encodes and writes a Parquet file. It answers each request with null or with what went wrong.
 */
import { parentPort, workerData } from "node:worker_threads"
import { ParquetFile, type ParquetSettings } from "./ParquetFile.ts"
import type { ColumnValues } from "./RowGroup.ts"

export interface WorkerData {
  readonly fd: number
  readonly path: string
  readonly settings: ParquetSettings
}

/** A row group to write, or the footer. */
export type WorkerRequest = ReadonlyArray<ColumnValues> | "finish"

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

const { fd, path, settings } = workerData as WorkerData
let file: ParquetFile | undefined

parentPort!.on("message", (request: WorkerRequest) => {
  const reply = answer(() => {
    file ??= new ParquetFile(fd, path, settings)
    if (request === "finish") file.finish()
    else file.writeGroup(request)
  })
  parentPort!.postMessage(reply)
})
