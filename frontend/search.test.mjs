import assert from "node:assert/strict";
import test from "node:test";

import { source } from "./source.mjs";

const { matcher, notFound } = await source("kit/js/search.js");

const NAMES = ["/model.0/conv/Conv_output_0", "/model.10/conv/Conv_output_0", "backbone.layer1.weight", "backbone.layer12.bias", "a[0](b)", "input*"];
const found = (text) => NAMES.filter(matcher(text).fits);

test("an empty search shows all", () => {
  assert.deepEqual(found("  "), NAMES);
});

test("plain text is a part of the name, whatever its case, and nothing in it is special", () => {
  assert.deepEqual(found("MODEL.0/"), [NAMES[0]]);
  assert.deepEqual(found("a[0](b)"), ["a[0](b)"]);
  assert.deepEqual(found("/conv/"), NAMES.slice(0, 2));
  assert.deepEqual(found("layer1."), ["backbone.layer1.weight"]);
});

test("with * and ? it is the whole name, and the rest is meant as it stands", () => {
  assert.deepEqual(found("backbone.*"), NAMES.slice(2, 4));
  assert.deepEqual(found("*.bias"), ["backbone.layer12.bias"]);
  assert.deepEqual(found("layer1*"), []);
  assert.deepEqual(found("/model.?/*"), [NAMES[0]]);
  assert.deepEqual(found("a[?](*)"), ["a[0](b)"]);
});

test("re: and slashes make a regular expression", () => {
  assert.deepEqual(found("re:layer\\d\\."), ["backbone.layer1.weight"]);
  assert.deepEqual(found("/^backbone.+s$/"), ["backbone.layer12.bias"]);
  assert.deepEqual(found("RE:^/MODEL"), NAMES.slice(0, 2));
});

test("what is no regular expression fits nothing and is said", () => {
  const wanted = matcher("re:conv(");
  assert.deepEqual(NAMES.filter(wanted.fits), []);
  assert.match(notFound(wanted, "none"), /^Not a regular expression: .+/);
  assert.equal(notFound(matcher("x"), "none"), "none");
});
