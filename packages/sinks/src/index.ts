/**
 * One module a sink; each can be imported by itself, as `@sampleline/sinks/CsvSink`.
 */
export { CsvSink, type CsvSinkOptions } from "./CsvSink.ts"
export { JsonlSink, type JsonlSinkOptions, type StdoutOptions } from "./JsonlSink.ts"
export { ParquetSink, type ParquetSinkOptions } from "./ParquetSink.ts"
export { PostgresSink, type PostgresSinkOptions } from "./PostgresSink.ts"
export { SqliteSink, type SqliteSinkOptions } from "./SqliteSink.ts"
export { SqlSink, type SqlSinkOptions } from "./SqlSink.ts"
