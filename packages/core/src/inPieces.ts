import { Array, Stream } from "effect"

/**
 * Cuts the arrays of a stream into pieces of at most `size` elements. Put it before `Stream.groupedWithin`: of an array it copies
 * what is left, again for each batch, so that the cost of an element grows with the array.
 *
 * @since 0.1.0
 * @category combinators
 */
export const inPieces = (size: number) => <A, E, R>(elements: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.flattenArray(Stream.mapArray(elements, (array) => piecesOf(array, size)))

/** `Array.chunksOf` copies as `groupedWithin` does. */
const piecesOf = <A>(
  array: Array.NonEmptyReadonlyArray<A>,
  size: number
): Array.NonEmptyReadonlyArray<Array.NonEmptyReadonlyArray<A>> => {
  if (array.length <= size) return [array]
  const piece = (n: number) => array.slice(n * size, (n + 1) * size) as [A, ...globalThis.Array<A>]
  return Array.makeBy(Math.ceil(array.length / size), piece)
}
