use super::*;

fn piece(id: Id, text: &str, list: &mut List, origin: Option<Id>, right_origin: Option<Id>) -> Piece {
    let content = list.keep_text(text);
    Piece { id, len: text.encode_utf16().count() as u32, origin, right_origin, content }
}

/// "ab" by client 1.
fn letters() -> (List, Id, Id) {
    let mut list = List::empty();
    let a = Id { client: 1, clock: 0 };
    let ab = piece(a, "ab", &mut list, None, None);
    list.insert([ab].into_iter());
    (list, a, a.plus(1))
}

#[test]
fn who_goes_around_its_own_text_stands_before_it_and_makes_the_place_odd() {
    let (mut list, a, b) = letters();
    let x = Id { client: 2, clock: 0 };
    let pieces = [piece(x, "x", &mut list, Some(a), Some(b)), piece(x.plus(1), "y", &mut list, Some(a), Some(b))];
    list.insert(pieces[..1].iter().copied());
    assert!(!list.is_odd());
    list.insert(pieces[1..].iter().copied());
    assert_eq!(list.text(), "ayxb");
    assert!(list.is_odd(), "its author would have put it beside what it had written before");
}

#[test]
fn what_others_brought_along_stays_beside_them() {
    let mut list = List::empty();
    let by = |client| Some(Id { client, clock: 0 });
    for (client, origin, right_origin) in
        [(1, None, None), (3, None, None), (4, None, by(3)), (5, by(4), None), (2, None, None)]
    {
        let id = Id { client, clock: 0 };
        let next = piece(id, &client.to_string(), &mut list, origin, right_origin);
        list.insert([next].into_iter());
    }
    assert_eq!(list.text(), "12453", "2 goes before 4 and so before 5, which was put beside it");
    assert!(!list.is_odd());
}
