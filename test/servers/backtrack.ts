/** A pattern as a tree, with how it is written. */
export type Tree =
  | { is: 'takes'; source: string; takes: (character: string) => boolean }
  | { is: 'one after the other' | 'one of'; parts: Tree[] }
  | { is: 'repeats'; part: Tree; min: number; max: number; isLazy: boolean }
  | { is: 'looks ahead'; part: Tree; isNot: boolean }
  | { is: 'start' | 'end' }

export const sourceOf = (tree: Tree): string => {
  switch (tree.is) {
    case 'takes':
      return tree.source
    case 'one after the other':
      return tree.parts.map((part) => `(?:${sourceOf(part)})`).join('')
    case 'one of':
      return tree.parts.map(sourceOf).join('|')
    case 'repeats':
      return `(?:${sourceOf(tree.part)}){${tree.min},${tree.max === Infinity ? '' : tree.max}}${tree.isLazy ? '?' : ''}`
    case 'looks ahead':
      return `(?${tree.isNot ? '!' : '='}${sourceOf(tree.part)})`
    default:
      return tree.is === 'start' ? '^' : '$'
  }
}

type Next = (at: number) => boolean

/**
 * Looks for a pattern in a text as ECMAScript prescribes it (2025, 22.2.2), and never succeeds, so that all ways are tried.
 * @returns how often a character was looked at, or the end of the pattern was reached; Infinity beyond `most`.
 */
export const stepsTaken = (tree: Tree, text: string, most: number): number => {
  let steps = 0
  const step = (): void => {
    if (++steps > most) throw new TooMany()
  }
  const matches = (part: Tree, at: number, next: Next): boolean => {
    switch (part.is) {
      case 'takes':
        step()
        return at < text.length && part.takes(text[at] ?? '') && next(at + 1)
      case 'one after the other':
        return part.parts.reduceRight<Next>((rest, one) => (from) => matches(one, from, rest), next)(at)
      case 'one of':
        return part.parts.some((one) => matches(one, at, next))
      case 'repeats':
        return repeats(part, at, next, part.min, part.max)
      case 'looks ahead':
        return matches(part.part, at, () => true) !== part.isNot && next(at)
      default:
        return at === (part.is === 'start' ? 0 : text.length) && next(at)
    }
  }
  const repeats = (part: Tree & { is: 'repeats' }, at: number, next: Next, min: number, max: number): boolean => {
    if (max === 0) return next(at)
    const once = (): boolean =>
      matches(
        part.part,
        at,
        (to) => !(min === 0 && to === at) && repeats(part, to, next, Math.max(min - 1, 0), max - 1),
      )
    if (min > 0) return once()
    return part.isLazy ? next(at) || once() : once() || next(at)
  }
  try {
    for (let start = 0; start <= text.length; start++) {
      matches(tree, start, () => {
        step()
        return false
      })
    }
  } catch (error) {
    if (error instanceof TooMany) return Infinity
    throw error
  }
  return steps
}

class TooMany extends Error {}
