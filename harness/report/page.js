(function () {
  'use strict';
  var results = JSON.parse(document.getElementById('results').textContent);
  function el(tag, cls, text) {
    var e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  }
  function short(id) { return id.length > 22 ? id.slice(0, 9) + '…' + id.slice(-8) : id; }
  function label(row) {
    var box = el('span', 'label');
    box.appendChild(el('b', '', row.api || '?'));
    box.appendChild(el('span', 'dim', ' v' + row.version));
    var parts = [];
    if (row.generation !== undefined && row.generation >= 0) parts.push('generation ' + row.generation);
    if (row.member) parts.push(short(row.member));
    else if (row.kind === 'request' && row.api === 'JoinGroup') parts.push('no member id');
    if (row.instance) parts.push('instance ' + row.instance);
    if (parts.length) box.appendChild(el('span', '', '  ' + parts.join(' · ')));
    if (row.member) box.title = row.member;
    if (row.kind === 'answer' && row.error) box.appendChild(el('span', 'err', '  ' + row.error + ' ' + (row.error_name || '')));
    if (row.rule) box.appendChild(el('span', 'dim', '  ' + row.rule));
    if (row.fault && (row.kind === 'request' || !row.error)) { box.append(' '); box.appendChild(el('span', 'bolt', '⚡ ' + row.fault)); }
    if (row.text) box.appendChild(el('span', 'err', ' ' + row.text));
    return box;
  }
  function message(row) {
    var m = el('div', 'msg ' + row.kind + (row.error ? ' bad' : ''));
    m.appendChild(label(row));
    var where = el('span', 'dim', 'b' + row.broker + ' c' + row.connection);
    where.style.order = 7;
    m.appendChild(where);
    m.appendChild(el('i', row.kind === 'request' ? 'head-r' : 'head-l'));
    return m;
  }
  function report(text) { // {"event":"assigned","partitions":{"t":[0,1]}} -> assigned t 0,1
    var e;
    try { e = JSON.parse(text); } catch (x) { return text; }
    var lists = e.partitions || e.offsets, words = [e.event];
    if (e.event === 'record') words.push(e.topic + '-' + e.partition + '@' + e.offset);
    Object.keys(lists || {}).forEach(function (t) { words.push(t + ' ' + JSON.stringify(lists[t]).replace(/["[\]{}]/g, '')); });
    if (lists && !Object.keys(lists).length) words.push('nothing');
    if (e.message) words.push(e.message);
    return words.join(' ');
  }
  function says(row) {
    if (row.kind === 'case') return el('span', 'note', row.text);
    if (row.kind === 'client') return el('span', 'side', 'client ' + row.client + ': ' + report(row.text));
    if (row.kind === 'group') return el('span', 'side right', row.text);
    return el('span', 'side right', 'b' + row.broker + ' c' + row.connection + ' ' + row.text);
  }
  function draw(box, test, index) {
    var head = el('div', 'lrow head'), lane = el('div', 'lane');
    head.append(el('span', 'n', '#'), el('span', 't', 's'));
    lane.append(el('b', '', 'client'), el('b', '', 'brokers'));
    head.append(lane);
    box.append(head);
    var key = {}, seen = {}, fold = null, folded = 0;
    (test.frames || []).forEach(function (n) { key[n] = true; });
    function isQuiet(row) { // the third and later of what only repeats itself
      var name = row.kind + row.api;
      var plain = (row.kind === 'request' || row.kind === 'answer') && !row.error && !row.fault && !row.text && !key[row.n] &&
        /^(Heartbeat|Fetch|Metadata|ListOffsets|ApiVersions|OffsetCommit|FindCoordinator)$/.test(row.api);
      if (!plain) { if (row.kind === 'case' || row.error || row.fault) seen = {}; return false; }
      seen[name] = (seen[name] || 0) + 1;
      return seen[name] > 2;
    }
    function put(r, quiet) {
      if (!quiet) { fold = null; box.append(r); return; }
      if (!fold) {
        fold = el('details', 'quiet');
        fold.append(el('summary', ''));
        folded = 0;
        box.append(fold);
      }
      fold.append(r);
      fold.firstChild.textContent = '… ' + (++folded) + (folded > 1 ? ' frames' : ' frame') + ' of the same kind';
    }
    test.timeline.forEach(function (row) {
      var r = el('div', 'lrow' + (key[row.n] ? ' key' : ''));
      r.id = 'c' + index + '-' + row.n;
      var l = el('div', 'lane');
      l.append(row.kind === 'request' || row.kind === 'answer' ? message(row) : says(row));
      r.append(el('span', 'n', row.n), el('span', 't', (row.at_us / 1e6).toFixed(3)), l);
      put(r, isQuiet(row));
    });
  }
  function show(details) {
    var box = details.querySelector('.ladder'), index = +details.dataset.case;
    if (!box.firstChild) draw(box, results.cases[index], index);
  }
  var all = Array.prototype.slice.call(document.querySelectorAll('.case'));
  all.forEach(function (d) { d.addEventListener('toggle', function () { if (d.open) show(d); }); });
  function follow() {
    var match = /^#c(\d+)(-\d+)?$/.exec(location.hash);
    if (!match) return;
    var d = document.getElementById('c' + match[1]);
    if (!d) return;
    d.open = true;
    show(d);
    var target = document.getElementById(location.hash.slice(1));
    if (target && target.parentNode.classList.contains('quiet')) target.parentNode.open = true;
    if (target) target.scrollIntoView({block: match[2] ? 'center' : 'start'});
  }
  addEventListener('hashchange', follow);
  var wanted = '', text = '';
  function filter() {
    all.forEach(function (d) {
      var fits = (!wanted || d.dataset.result === wanted) && (!text || d.textContent.toLowerCase().indexOf(text) >= 0);
      d.classList.toggle('hidden', !fits);
    });
    document.querySelectorAll('h2').forEach(function (h) {
      var any = false;
      for (var e = h.nextElementSibling; e && e.tagName !== 'H2'; e = e.nextElementSibling) any = any || !e.classList.contains('hidden');
      h.classList.toggle('hidden', !any);
    });
  }
  document.querySelectorAll('.chips button').forEach(function (b) {
    b.addEventListener('click', function () {
      document.querySelectorAll('.chips button').forEach(function (o) { o.classList.toggle('on', o === b); });
      wanted = b.dataset.result;
      filter();
    });
  });
  document.querySelector('.chips input').addEventListener('input', function (e) { text = e.target.value.toLowerCase(); filter(); });
  follow();
  if (!location.hash) {
    var bad = all.find(function (d) { return /FAIL|CRASH|HANG|ERROR/.test(d.dataset.result) && d.dataset.result !== 'XFAIL'; });
    if (bad) { bad.open = true; show(bad); }
  }
})();
