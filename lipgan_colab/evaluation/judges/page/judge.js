// One judge's way through a study: welcome, trial after trial, answers. It asks three things of where it runs:
//   films(id)   a promise of the address of a film
//   keep.load() what was saved before, or null
//   keep.save(state)  saves; keep.here: the answers need not be sent
// and knows nothing of what the films are.
function judgeStudy(root, study, words, films, keep) {
  const trialsOf = (state) => study.forms[state.form];
  let state = usable(keep.load());
  let drop = () => {}; // ends what the screen before has begun

  // What was kept may be of another program, or damaged.
  function usable(kept) {
    const form = kept && study.forms[kept.form];
    const whole = form && /^[0-9a-f]{32}$/.test(kept.judge) && Array.isArray(kept.answers);
    return whole && kept.answers.every((answer) => answer && form[answer.trial]) ? kept : null;
  }

  // Another tab may have gone on with the same judge: what was answered there counts.
  function takeOver() {
    const kept = usable(keep.load());
    if (kept && kept.judge === state.judge && kept.answers.length > state.answers.length) state = kept;
  }

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function say(name, values = {}) {
    return words[name].replace(/\{(\w+)\}/g, (all, key) => (key in values ? values[key] : all));
  }

  function show(...children) {
    drop();
    drop = () => {};
    root.replaceChildren(...children);
    root.focus({ preventScroll: true });
  }

  function random(below) {
    return crypto.getRandomValues(new Uint32Array(1))[0] % below;
  }

  function newState(form) {
    const judge = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
    return { judge, form: form % study.forms.length, name: "", consent: false, answers: [] };
  }

  function answersFile() {
    const { judge, form, name, consent, answers } = state;
    const format = "lipgan_colab/judge-answers/1";
    return JSON.stringify({ format, study: study.study, form, judge, name, consent, answers });
  }

  function done() {
    return new Set(state.answers.map((answer) => answer.trial)).size;
  }

  function testSound() {
    const context = new (window.AudioContext || window.webkitAudioContext)();
    const [tone, volume] = [context.createOscillator(), context.createGain()];
    volume.gain.value = 0.2;
    tone.connect(volume).connect(context.destination);
    tone.start();
    tone.stop(context.currentTime + 0.6);
    tone.onended = () => context.close();
  }

  function welcome() {
    if (state === null) state = newState(keep.form === null ? random(study.forms.length) : keep.form);
    const trials = trialsOf(state);
    const boxes = ["consent_judge", "consent_faces"].map((name) =>
      element("label", {}, element("input", { type: "checkbox", onchange: check }), " ", say(name)),
    );
    const name = element("input", { type: "text", maxlength: 100, autocomplete: "off" });
    const start = element("button", { class: "judge-main", disabled: true, onclick: begin }, say("start"));
    function check() {
      start.disabled = !boxes.every((box) => box.firstChild.checked);
    }
    function begin() {
      state.consent = true;
      state.name = name.value.trim();
      keep.save(state);
      trial();
    }
    const lines = [`hello_${study.method}`, "synthetic", `how_${study.method}`];
    if (study.agreed) lines.push("faces_agreed");
    show(
      element("h1", {}, study.title),
      ...lines.map((line) => element("p", {}, say(line, { trials: trials.length, minutes: study.minutes }))),
      element("p", {}, say("sound"), " ", element("button", { onclick: testSound }, say("test_sound"))),
      ...boxes,
      element("label", { class: "judge-name" }, say("name"), " ", name),
      ...(keep.works ? [] : [element("p", { class: "judge-warning" }, say("not_kept"))]),
      element("p", {}, start),
      ...(study.credit ? [element("p", { class: "judge-small" }, say("credit", { credit: study.credit }))] : []),
    );
  }

  function resume() {
    const trials = trialsOf(state).length;
    show(
      element("h1", {}, study.title),
      element("p", {}, say("resume", { done: done(), trials })),
      element("p", {}, element("button", { class: "judge-main", onclick: trial }, say("go_on"))),
    );
  }

  function trial() {
    takeOver();
    const trials = trialsOf(state);
    const answered = new Set(state.answers.map((answer) => answer.trial));
    const number = trials.findIndex((_, place) => !answered.has(place));
    if (number < 0) return end();
    const shown = trials[number];
    const pair = study.method === "pairs";
    const names = pair ? ["A", "B"] : [""];
    const began = performance.now();
    const plays = shown.map(() => 0);
    const chosen = {};
    let queue = []; // films that are to be played after the one that is playing
    const addresses = [];

    const videos = shown.map((film, place) => {
      const video = element("video", { playsinline: true, preload: "auto", disablepictureinpicture: true });
      video.disableRemotePlayback = true;
      video.addEventListener("ratechange", () => video.playbackRate !== 1 && (video.playbackRate = 1));
      video.addEventListener("contextmenu", (event) => event.preventDefault());
      video.addEventListener("error", () => video.getAttribute("src") && tell("cannot_play"));
      video.addEventListener("click", () => play([place]));
      video.addEventListener("ended", () => {
        let seen = 0;
        for (let k = 0; k < video.played.length; k++) seen += video.played.end(k) - video.played.start(k);
        const before = plays.every((count) => count > 0);
        if (seen > 0.9 * video.duration) plays[place]++;
        if (!before && plays.every((count) => count > 0)) asked[asked.length - 1].box.scrollIntoView({ block: "nearest" });
        const following = queue.shift();
        if (following !== undefined) play([following, ...queue]);
        update();
      });
      films(film).then((address) => {
        addresses.push(address);
        video.src = address;
      });
      return video;
    });

    function play(places) {
      videos.forEach((video) => video.pause());
      videos.forEach((video, place) => video.parentElement.classList.toggle("judge-playing", place === places[0]));
      queue = places.slice(1);
      for (const place of queue) {
        videos[place].play().catch(() => {}); // iPhones play with sound only what a finger has started once
        videos[place].pause();
      }
      const video = videos[places[0]];
      video.currentTime = 0;
      video.play().catch(() => {}); // another was pressed before it began
    }

    const figures = videos.map((video, place) =>
      element(
        "figure",
        {},
        video,
        element(
          "button",
          { onclick: () => play([place]), "data-play": place },
          pair ? say("play", { film: names[place] }) : say("play_one"),
        ),
      ),
    );
    const choices = pair ? ["left", "right"] : [1, 2, 3, 4, 5];
    const label = (choice, place) => (pair ? names[place] : `${choice} ${words.points[choice - 1]}`);
    const asked = study.questions.map((question) => {
      const buttons = choices.map((choice, place) =>
        element(
          "button",
          { onclick: () => answer(question, choice), "data-answer": choice, "aria-pressed": "false" },
          label(choice, place),
        ),
      );
      const box = element(
        "fieldset",
        { "data-question": question },
        element("legend", {}, words[study.method][question]),
        ...buttons,
      );
      return { question, buttons, box };
    });
    const status = element("p", { class: "judge-status", "aria-live": "polite" });
    const isLast = done() === trials.length - 1;
    const next = element("button", { class: "judge-main", onclick: goOn }, say(isLast ? "last" : "next"));

    function tell(name) {
      status.textContent = say(name);
    }

    function answer(question, choice) {
      if (plays.some((count) => count === 0)) return;
      chosen[question] = { answer: choice, seconds: Math.round((performance.now() - began) / 10) / 100 };
      update();
    }

    function waiting() {
      return study.questions.find((question) => !(question in chosen));
    }

    function update() {
      const watched = plays.every((count) => count > 0);
      tell(watched ? "answer_now" : pair ? "watch_both" : "watch_one");
      for (const { question, buttons, box } of asked) {
        box.classList.toggle("judge-current", watched && question === waiting());
        for (const button of buttons) {
          button.disabled = !watched;
          const is = question in chosen && String(chosen[question].answer) === button.dataset.answer;
          button.setAttribute("aria-pressed", String(is));
        }
      }
      next.disabled = waiting() !== undefined;
    }

    function takeBack() {
      const given = Object.keys(chosen); // in the order in which they were given first
      if (given.length) delete chosen[given[given.length - 1]];
      update();
    }

    function goOn() {
      if (waiting() !== undefined) return;
      takeOver();
      const isNew = !state.answers.some((answer) => answer.trial === number);
      for (const question of isNew ? study.questions : [])
        state.answers.push({ trial: number, question, ...chosen[question], plays: [...plays] });
      keep.save(state);
      trial();
    }

    function onKey(event) {
      const field = event.target.closest("button, input, textarea");
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (field && [" ", "Enter"].includes(event.key)) return; // the button does what it says
      const key = event.key.toLowerCase();
      const side = pair && { a: "left", arrowleft: "left", b: "right", arrowright: "right" }[key];
      const point = !pair && Number(key) >= 1 && Number(key) <= 5 && Number(key);
      if (key === " ") play(videos.map((_, place) => place));
      else if (pair && (key === "1" || key === "2")) play([Number(key) - 1]);
      else if (side || point) waiting() !== undefined && answer(waiting(), side || point);
      else if (key === "backspace") takeBack();
      else if (key === "enter") goOn();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    show(
      element(
        "div",
        { class: "judge-progress" },
        element("progress", { max: trials.length, value: done() }),
        element("span", {}, say("progress", { number: done() + 1, trials: trials.length })),
      ),
      element("div", { class: "judge-films" }, ...figures),
      ...(pair
        ? [
            element(
              "p",
              { class: "judge-both" },
              element("button", { onclick: () => play([0, 1]), "data-play": "both" }, say("play_both")),
            ),
          ]
        : []),
      status,
      ...asked.map(({ box }) => box),
      element("p", {}, next),
      element("p", { class: "judge-small" }, say(`keys_${study.method}`)),
    );
    update();
    keep.keys.addEventListener("keydown", onKey);
    drop = () => {
      keep.keys.removeEventListener("keydown", onKey);
      videos.forEach((video) => (video.pause(), video.removeAttribute("src"), video.load()));
      addresses.filter((address) => address.startsWith("blob:")).forEach((address) => URL.revokeObjectURL(address));
    };
  }

  function end() {
    const text = answersFile();
    const name = `answers-${study.study.slice(0, 6)}-${state.judge.slice(0, 6)}.json`;
    const another = element("button", { disabled: !keep.here, onclick: startAnew }, say("another"));
    const status = element("p", { class: "judge-status", "aria-live": "polite" });
    const area = element("textarea", { readonly: true, rows: 4, spellcheck: "false" });
    area.value = text;
    function download() {
      const link = element("a", { download: name });
      link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      link.click();
      another.disabled = false;
    }
    function copy() {
      another.disabled = false;
      area.select();
      const said = (name) => (status.textContent = say(name));
      if (navigator.clipboard)
        navigator.clipboard.writeText(text).then(
          () => said("copied"),
          () => said(document.execCommand("copy") ? "copied" : "by_hand"),
        );
      else said(document.execCommand("copy") ? "copied" : "by_hand");
    }
    function startAnew() {
      state = newState(state.form + 1);
      keep.save(state);
      welcome();
    }
    const to = study.send_to ? say("send_to", { who: study.send_to }) : "";
    const sending = [
      element("p", {}, say("send", { to })),
      element(
        "p",
        {},
        element("button", { class: "judge-main", onclick: download }, say("download")),
        " ",
        element("button", { onclick: copy }, say("copy")),
      ),
      status,
      area,
    ];
    show(
      element("h1", {}, say("thanks")),
      ...(keep.here ? [element("p", {}, say("kept_here"))] : sending),
      element("p", {}, another),
    );
  }

  root.classList.add("judge");
  root.lang = words.language;
  root.dir = words.direction;
  root.tabIndex = -1;
  if (state === null || !state.consent) welcome();
  else if (done() === trialsOf(state).length) end();
  else resume();
}
