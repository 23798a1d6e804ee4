import { expect, test } from '@jest/globals'
import { gitlabRegistry } from '../../../src/sources/access-logs/gitlab-registry.js'
import { at, linesOf, readWith } from './reading.js'

test("the access messages of GitLab's registry are requests", () => {
  expect(readWith(gitlabRegistry, linesOf(gitlabRegistry))).toStrictEqual([
    {
      kind: 'request',
      at: at('2021-12-22T08:58:15Z'),
      method: 'DELETE',
      status: 202,
      address: '127.0.0.1',
      userAgent: 'GitLab/14.5.2',
      bytes: 0,
      target: '/v2/group/project/tags/reference/1.0',
      host: 'localhost:5000',
    },
    {
      kind: 'request',
      at: at('2021-12-22T08:58:20Z'),
      method: 'GET',
      status: 200,
      address: '198.51.100.4',
      userAgent: 'docker/20.10.12 go/go1.16.12',
      bytes: 1367,
      target: '/v2/group/project/manifests/1.0',
      host: 'registry.example.com',
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    },
    { kind: 'other' },
  ])
})
