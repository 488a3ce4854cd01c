// Small pictures of samples: asked for when they are looked at, kept while the page lives.

const KEPT = 400;

/** The pictures of a panel. `get(sample)` is a canvas, or null where there is none (yet); `onPicture` hears of new ones. */
export function pictureStore(model, onPicture) {
  const pictures = new Map();
  const asked = new Set();
  const receive = (message, buffers) => {
    if (message.type !== "picture") return;
    asked.delete(message.sample);
    if (pictures.size >= KEPT) pictures.delete(pictures.keys().next().value);
    pictures.set(message.sample, message.width ? paint(message, buffers[0]) : null);
    onPicture(message.sample);
  };
  model.on("msg:custom", receive);
  return {
    get(sample) {
      if (pictures.has(sample)) return pictures.get(sample);
      if (!asked.has(sample)) {
        asked.add(sample);
        model.send({ type: "picture", sample });
      }
      return null;
    },
    forget() {
      pictures.clear();
      asked.clear();
    },
    clean: () => model.off("msg:custom", receive),
  };
}

function paint({ width, height }, buffer) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  image.data.set(new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, width * height * 4));
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Draw a picture into a canvas of a fixed size, whole and in the middle; an empty one where there is none. */
export function showPicture(target, picture) {
  const context = target.getContext("2d");
  context.clearRect(0, 0, target.width, target.height);
  target.dataset.empty = String(!picture);
  if (!picture) return;
  const scale = Math.min(target.width / picture.width, target.height / picture.height);
  const [wide, high] = [picture.width * scale, picture.height * scale];
  context.imageSmoothingEnabled = scale < 1;
  context.drawImage(picture, (target.width - wide) / 2, (target.height - high) / 2, wide, high);
}
