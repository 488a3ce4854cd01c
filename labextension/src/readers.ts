/** The readers: files to plain values, without JupyterLab. They follow the Python package's, and are tested against it. */

export { detectFormat } from './formats/detect';
export { diff } from './formats/compare';
export { headerFits } from './formats/fit';
export { readScaleFile, scaleOfBits } from './formats/reading';
export { FormatError, printable, pythonFloat, pythonRepr, quote } from './formats/text';
export { syntheticLabel } from './formats/header';
export { blockwise, memorySource } from './bytes';
export { matcher } from './search';
export { readSession, SessionError } from './session/session';
export { readOnnx } from './onnx/model';
export { OnnxError } from './onnx/protobuf';
export { readFacts } from './facts';
export { storedText } from './onnx/stored';
export { significant, typeset } from './words';
