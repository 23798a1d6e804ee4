import type { Taker } from './positions.js'

/** The characters at which one of JavaScript's predefined character sets begins or ends, as the engine defines the sets. */
const ownBorders = (): number[] => {
  const sets = [/\s/, /\w/, /\d/, /./]
  const borders = []
  let before = ''
  for (let code = 0; code <= LAST; code++) {
    const character = String.fromCharCode(code)
    const its = sets.map((set) => set.test(character)).join()
    if (its !== before) borders.push(code)
    before = its
  }
  return borders
}

const LAST = 0xffff
let own: number[] | undefined

/**
 * Sorts all characters into classes: all characters of one class match the same positions.
 * @returns for each class, whether each position matches its characters
 */
export const alphabetOf = (takers: readonly Taker[]): boolean[][] => {
  const borders = new Set((own ??= ownBorders()))
  for (const taker of takers) {
    for (const [, from, to] of rangesIn(taker)) borders.add(from).add(to + 1)
  }
  const classes = new Map<string, boolean[]>()
  const tests = takers.map(testOf)
  for (const border of borders) {
    if (border > LAST) continue
    const taken = tests.map((takes) => takes(String.fromCharCode(border)))
    classes.set(taken.map(Number).join(''), taken)
  }
  return [...classes.values()]
}

type Range = readonly ['range', from: number, to: number]

const rangesIn = (taker: Taker): Range[] => {
  if (taker === undefined || taker === 'any' || taker.type === 'CharacterSet') return []
  if (taker.type === 'Character') return [['range', taker.value, taker.value]]
  return taker.elements.flatMap((element): Range[] => {
    if (element.type === 'CharacterClassRange') return [['range', element.min.value, element.max.value]]
    return element.type === 'Character' ? [['range', element.value, element.value]] : []
  })
}

/** The engine itself decides which characters a class contains. */
const testOf = (taker: Taker): ((character: string) => boolean) => {
  if (taker === undefined || taker === 'any') return () => taker === 'any'
  if (taker.type === 'Character') return (character) => character.charCodeAt(0) === taker.value
  const pattern = new RegExp(taker.raw)
  return (character) => pattern.test(character)
}
