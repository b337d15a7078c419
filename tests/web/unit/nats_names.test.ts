/** Names, headers and checks of the NATS transport that need no server. */
import { describe, expect, it } from "vitest";
import { deliveredOf, pack, unpack } from "../../../src/transports/nats/stream/message.ts";
import {
  idOfToken,
  idToken,
  liveSubject,
  namesOf,
  rawId,
  safeName,
  seqOfRawId,
  stateOfSubject,
} from "../../../src/transports/nats/stream/subjects.ts";

describe("names of NATS", () => {
  it("F049: letters and digits of any script, '-' and '_' stay, and a name that was changed ends in its hash", () => {
    expect(safeName("plain-1_A")).toBe("plain-1_A");
    expect(safeName("ünïcode")).toBe("ünïcode");
    expect(safeName("日本.語")).toBe("日本_語_51f13b14");
    expect(safeName("a.b")).not.toBe(safeName("a>b"));
  });

  it("a name that looks like another's changed name is changed itself", () => {
    const changed = safeName("a.b");
    expect(changed).toMatch(/^a_b_[0-9a-f]{8}$/);
    expect(safeName(changed)).not.toBe(changed);
  });

  it("a stream's name stays below the server's 255 bytes, whatever the queue's", () => {
    const { stream } = namesOf("p".repeat(64), "語".repeat(80));
    expect(new TextEncoder().encode(stream).length).toBeLessThan(256);
    expect(safeName("語".repeat(80))).not.toBe(safeName("語".repeat(81)));
  });

  it("an id is one token of a subject, and read from it again", () => {
    for (const id of ["plain", "Order 7/ä", "a.b", "*", ">", "#17", "=20", "日本"]) {
      const token = idToken(id);
      expect(token).toMatch(/^[A-Za-z0-9_=-]+$/);
      expect(idOfToken(token)).toBe(id);
    }
  });

  it("a topic's group shares its stream, and has subjects of its own", () => {
    const own = namesOf("relevo", "orders@");
    const group = namesOf("relevo", "orders@mail.er");
    expect(group.stream).toBe(own.stream);
    expect(group.base.startsWith(`${own.base}q.`)).toBe(true);
    expect(namesOf("relevo", "orders").stream).not.toBe(own.stream);
  });

  it("a subject tells the state of its job, and is no other queue's", () => {
    const { base } = namesOf("relevo", "work");
    expect(stateOfSubject(base, liveSubject(base, "d", "x", 120_000))).toBe("d");
    expect(liveSubject(base, "d", "x", 120_000)).toBe("relevo.work.j.d.2.x");
    expect(stateOfSubject(base, `${base}in.any.thing`)).toBe("w");
    expect(stateOfSubject(base, `${base}x.f.x.1`)).toBeUndefined();
    expect(stateOfSubject(base, "relevo.other.j.w.0.x")).toBeUndefined();
  });

  it("the id of an entry of another program is its number, and no other id is taken for one", () => {
    expect(rawId(17)).toBe("#17");
    expect(seqOfRawId("#17")).toBe(17);
    for (const id of ["17", "#", "#0", "#1a", "##1", "#17 "]) expect(seqOfRawId(id)).toBeUndefined();
  });
});

describe("headers of NATS", () => {
  it("what is written is read again", () => {
    const record = {
      id: "x",
      name: "n",
      meta: "{}",
      marks: { lost: 2, frail: true, due: 5, until: 7, reason: "r", died: 9 },
    };
    expect(unpack(pack(record), "work", 1)).toEqual(record);
  });

  it("a field of another type is as if it were absent", () => {
    const wrong = { lost: "x", frail: 1, reset: "yes", due: "soon", until: null, reason: 5, died: 1e300 };
    expect(unpack(JSON.stringify(["i4", "q", "", wrong]), "work", 4)).toEqual({
      id: "i4",
      name: "q",
      meta: "",
      marks: {},
    });
    for (const lost of [-1, 0.5, 1e300, {}, []]) {
      expect(unpack(JSON.stringify(["i", "q", "", { lost }]), "work", 4).marks).toEqual({});
    }
    for (const header of ["", "no json", "{}", "null", "5"]) {
      expect(unpack(header, "work", 4)).toEqual({ id: "#4", name: "work", meta: "", marks: {} });
    }
    expect(unpack("[1,2,3,4]", "work", 4)).toEqual({ id: "#4", name: "work", meta: "", marks: {} });
  });

  it("both forms of an acknowledgement's subject are read", () => {
    const told = { count: 2, seq: 7, time: 1_700_000_000_000, pending: 3 };
    expect(deliveredOf("$JS.ACK.s.c.2.7.9.1700000000000123456.3")).toEqual(told);
    expect(deliveredOf("$JS.ACK.domain.hash.s.c.2.7.9.1700000000000123456.3.token")).toEqual(told);
  });
});
