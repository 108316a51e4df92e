/**
 * One module for each sink. Each can be imported alone, as `@sampleline/sinks/CsvSink`.
 */
export { CsvSink, type CsvSinkOptions } from "./CsvSink.ts"
export { JsonlSink, type JsonlSinkOptions, type StdoutOptions } from "./JsonlSink.ts"
export type { OpenableSink } from "./OpenableSink.ts"
export { ParquetSink, type ParquetSinkOptions } from "./ParquetSink.ts"
export { PostgresSink, type PostgresSinkOptions } from "./PostgresSink.ts"
export { SqliteSink, type SqliteSinkOptions } from "./SqliteSink.ts"
export { SqlSink, type SqlSinkOptions } from "./SqlSink.ts"
