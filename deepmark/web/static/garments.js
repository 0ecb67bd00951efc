/* The network's outputs as garments in pixels of the image, after non-maximum suppression, as Python has them. */

/**
 * The garments of one image, best first, in the form in which `deepmark serve` answers.
 *
 * outputs: by name, typed arrays for one image; placed: what letterbox gave; contract: model.json.
 */
export function garmentsOf(outputs, placed, image, contract, leastScore) {
  const found = [];
  const x = (value) => (value - placed.left) / placed.ratio;
  const y = (value) => (value - placed.top) / placed.ratio;
  const inside = (value, most) => Math.fround(Math.min(Math.max(value, 0), most));
  outputs.scores.forEach((score, row) => {
    if (score <= 0) return;
    const [x0, y0, x1, y1] = outputs.boxes.subarray(4 * row, 4 * row + 4);
    found.push({
      category: Number(outputs.categories[row]),
      score,
      row,
      box: [inside(x(x0), image.width), inside(y(y0), image.height), inside(x(x1), image.width), inside(y(y1), image.height)],
    });
  });
  const most = outputs.landmark_scores.length / outputs.scores.length;
  return suppressed(found, contract.predict)
    .filter((garment) => garment.score >= leastScore)
    .slice(0, contract.predict.max_detections)
    .map(({ category, score, box, row }) => {
      const kind = contract.categories[category];
      const landmarks = kind.landmarks.map((name, number) => {
        const at = most * row + number;
        const point = [x(outputs.landmarks[2 * at]), y(outputs.landmarks[2 * at + 1])].map(Math.fround);
        return [name, [...point, outputs.landmark_scores[at]]];
      });
      const garment = { category: kind.name, score, box, landmarks: Object.fromEntries(landmarks) };
      return contract.predict.rescore ? { ...garment, pose_score: poseScore(score, landmarks) } : garment;
    });
}

/** The score of the landmarks as one result: the garment's times the root of the mean height of their peaks, if any. */
function poseScore(score, landmarks) {
  if (!landmarks.length) return score;
  const sum = landmarks.reduce((total, [, [, , height]]) => total + height, 0);
  return Math.fround(score * Math.sqrt(sum / landmarks.length));
}

function suppressed(found, predict) {
  return predict.nms === "soft" ? softNms(found, predict.soft_nms_sigma) : hardNms(found, predict.nms_iou);
}

/** Without those that overlap a better one of their category by more than `iou`. */
function hardNms(found, iou) {
  const kept = [];
  for (const one of found) {
    if (!kept.some((better) => better.category === one.category && overlap(better.box, one.box) > iou)) kept.push(one);
  }
  return kept;
}

/** Each score times exp(-iou² / sigma) for every better one of its category; best first again. */
function softNms(found, sigma) {
  const remaining = found.map((one) => ({ ...one }));
  const done = [];
  while (remaining.length) {
    const best = remaining.reduce((a, b) => (b.score > a.score ? b : a));
    remaining.splice(remaining.indexOf(best), 1);
    done.push({ ...best, score: Math.fround(best.score) });
    for (const one of remaining) {
      if (one.category === best.category) one.score *= Math.exp(-(overlap(one.box, best.box) ** 2) / sigma);
    }
  }
  return done;
}

function overlap(a, b) {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const both = width * height;
  const area = ([x0, y0, x1, y1]) => Math.max(0, x1 - x0) * Math.max(0, y1 - y0);
  return both / Math.max(area(a) + area(b) - both, Number.MIN_VALUE);
}
