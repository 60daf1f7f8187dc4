// Zoom of plots. Without this script every plot is complete, the newest commits have a plot of their own, and the
// figures are in tables. Labels and markers keep their size, and the labels of the axes stay at the edges.
const SMALLEST = 1 / 16;
const hint = document.createElement("p");
hint.className = "soft";
hint.textContent = "Zoom: click a plot, then use the wheel or + and -; drag or arrow keys move it; double click or 0 shows all.";
document.querySelector("header").append(hint);
for (const plot of document.querySelectorAll("figure svg[viewBox]:not(.key)")) {
  const whole = plot.getAttribute("viewBox").split(/[\s,]+/).map(Number);
  const fixed = [...plot.querySelectorAll("text, .marker")].map(element => {
    if (element.tagName !== "text") {
      const [x, y] = element.getAttribute("d").match(/[\d.]+/g).map(Number);
      return {element, x, y, isAtX: true, isAtY: true};
    }
    plot.append(element);  // above the lines, which may cross it now
    // A label stands this far from the point that it names: 4 below a tick of y, 5 beside a mark.
    const isMark = element.matches(".mark"), isTickY = element.matches(".tick-y");
    const beside = isMark ? (element.getAttribute("text-anchor") === "end" ? 5 : -5) : 0;
    const x = +element.getAttribute("x") + beside, y = +element.getAttribute("y") - (isTickY ? 4 : 0);
    return {element, x, y, isAtX: isMark || element.matches(".tick-x"), isAtY: isTickY};
  });
  let box = whole.slice(), grip = null;
  const show = next => {
    next[2] = Math.min(whole[2], Math.max(whole[2] * SMALLEST, next[2]));
    next[3] = next[2] * whole[3] / whole[2];
    for (const axis of [0, 1]) {
      next[axis] = Math.min(whole[axis] + whole[axis + 2] - next[axis + 2], Math.max(whole[axis], next[axis]));
    }
    box = next;
    const scale = box[2] / whole[2];
    plot.setAttribute("viewBox", box.join(" "));
    plot.classList.toggle("zoomed", scale < 1);
    for (const {element, x, y, isAtX, isAtY} of fixed) {
      const left = isAtX ? x : box[0] + x * scale, top = isAtY ? y : box[1] + y * scale;
      element.setAttribute("transform", `translate(${left} ${top}) scale(${scale}) translate(${-x} ${-y})`);
    }
  };
  const zoom = (factor, x = 0.5, y = 0.5) => {
    const width = Math.min(whole[2], Math.max(whole[2] * SMALLEST, box[2] * factor));
    const height = width * whole[3] / whole[2];
    show([box[0] + (box[2] - width) * x, box[1] + (box[3] - height) * y, width, height]);
  };
  const pan = (x, y) => show([box[0] + x * box[2], box[1] + y * box[3], box[2], box[3]]);
  plot.tabIndex = 0;
  plot.addEventListener("wheel", event => {
    // The page scrolls over a plot that nobody has clicked.
    if (!event.ctrlKey && document.activeElement !== plot) return;
    if (box[2] === whole[2] && event.deltaY > 0) return;
    event.preventDefault();
    const area = plot.getBoundingClientRect();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, (event.clientX - area.x) / area.width, (event.clientY - area.y) / area.height);
  }, {passive: false});
  plot.addEventListener("pointerdown", event => {
    if (box[2] < whole[2]) { grip = [event.clientX, event.clientY]; plot.setPointerCapture(event.pointerId); }
  });
  plot.addEventListener("pointermove", event => {
    if (!grip) return;
    const area = plot.getBoundingClientRect();
    pan((grip[0] - event.clientX) / area.width, (grip[1] - event.clientY) / area.height);
    grip = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) plot.addEventListener(end, () => { grip = null; });
  plot.addEventListener("dblclick", () => show(whole.slice()));
  plot.addEventListener("keydown", event => {
    const act = {"+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), "0": () => show(whole.slice()),
      ArrowLeft: () => pan(-0.1, 0), ArrowRight: () => pan(0.1, 0),
      ArrowUp: () => pan(0, -0.1), ArrowDown: () => pan(0, 0.1)}[event.key];
    if (act && !event.ctrlKey && !event.metaKey && (box[2] < whole[2] || "+=".includes(event.key))) {
      event.preventDefault();
      act();
    }
  });
}
