import { blobQuestions } from './blobs.js'
import { deletionQuestions } from './deletions.js'
import { imageQuestions } from './images.js'
import { lastUsed } from './last-used.js'
import { manifestQuestions } from './manifests.js'
import { missingBlobsQuestions } from './missing-blobs.js'
import type { Question } from './question.js'
import { repositoryQuestions } from './repositories.js'
import { tagQuestions } from './tags.js'
import { treeQuestions } from './tree.js'

/** Questions by the file of this folder that contains their statements. */
export const QUESTIONS_BY_FILE: Readonly<Record<string, readonly Question[]>> = {
  'repositories.ts': repositoryQuestions,
  'images.ts': imageQuestions,
  'last-used.ts': [lastUsed],
  'tree.ts': treeQuestions,
  'tags.ts': tagQuestions,
  'manifests.ts': manifestQuestions,
  'missing-blobs.ts': missingBlobsQuestions,
  'blobs.ts': blobQuestions,
  'deletions.ts': deletionQuestions,
}

/** All questions, in the order in which help lists them. */
export const QUESTIONS: readonly Question[] = Object.values(QUESTIONS_BY_FILE).flat()
